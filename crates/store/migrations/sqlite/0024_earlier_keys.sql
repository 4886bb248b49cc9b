-- The gateway key that the same process attached with before: it still has records with that one's ids.
ALTER TABLE replicas ADD COLUMN earlier_gateway_key_id BLOB;
