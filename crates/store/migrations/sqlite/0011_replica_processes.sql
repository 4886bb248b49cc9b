-- Of the secret by which a replica's process shows that the id is its own; null: from a version that has none.
ALTER TABLE replicas ADD COLUMN process_hash BLOB;
