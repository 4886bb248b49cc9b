-- A key's rows, for those of the key that takes its place.
CREATE INDEX token_grants_gateway_key_id_idx ON token_grants (gateway_key_id);
