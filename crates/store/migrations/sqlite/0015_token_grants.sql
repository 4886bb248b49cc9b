-- Which gateway keys were told that a token works. Only their replicas hear of its end, and only they deliver records of it. A deleted
-- key's rows stay while a replica that attached with it is known.
CREATE TABLE token_grants (
    token_id BLOB NOT NULL,
    gateway_key_id BLOB NOT NULL,
    CONSTRAINT token_grants_pkey PRIMARY KEY (token_id, gateway_key_id),
    CONSTRAINT token_grants_token_id_fkey FOREIGN KEY (token_id) REFERENCES tokens (id) ON DELETE CASCADE
) STRICT;
-- What was told before this table is not known: every key counts as told of every token in use.
INSERT INTO token_grants (token_id, gateway_key_id)
    SELECT t.id, k.id FROM tokens t CROSS JOIN ai_gateway_keys k WHERE t.last_used_at IS NOT NULL;

-- Until when a gateway key, deleted or not, served a provider that it serves no more.
CREATE TABLE ai_gateway_key_past_providers (
    gateway_key_id BLOB NOT NULL,
    provider_id BLOB NOT NULL,
    served_until INTEGER NOT NULL,
    CONSTRAINT ai_gateway_key_past_providers_pkey PRIMARY KEY (gateway_key_id, provider_id)
) STRICT;
CREATE INDEX ai_gateway_key_past_providers_served_until_idx ON ai_gateway_key_past_providers (served_until);

CREATE INDEX replicas_process_hash_idx ON replicas (process_hash);
