-- Gateway keys that are deleted, for as long as records of their replicas are believed: another key can still replace one.
CREATE TABLE deleted_ai_gateway_keys (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    deleted_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT deleted_ai_gateway_keys_pkey PRIMARY KEY (id)
);
CREATE INDEX deleted_ai_gateway_keys_name_idx ON deleted_ai_gateway_keys (name, deleted_at);
CREATE INDEX deleted_ai_gateway_keys_deleted_at_idx ON deleted_ai_gateway_keys (deleted_at);

-- Which keys a gateway key replaces, directly (distance 1) or through others. What their replicas left on a disk, its replicas can open.
CREATE TABLE ai_gateway_key_replacements (
    gateway_key_id UUID NOT NULL,
    replaced_id UUID NOT NULL,
    distance BIGINT NOT NULL,
    CONSTRAINT ai_gateway_key_replacements_pkey PRIMARY KEY (gateway_key_id, replaced_id)
);
CREATE INDEX ai_gateway_key_replacements_replaced_id_idx ON ai_gateway_key_replacements (replaced_id);
