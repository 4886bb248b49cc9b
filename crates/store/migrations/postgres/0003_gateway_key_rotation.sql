-- Rotation of gateway keys, and what bounds them.
-- The same tables, columns, checks and indexes as in ../sqlite; a test holds the two against each other.

ALTER TABLE ai_gateway_keys ADD COLUMN disabled_at TIMESTAMPTZ;
-- When the present secret took the place of the one before.
ALTER TABLE ai_gateway_keys ADD COLUMN rotated_at TIMESTAMPTZ;
-- Ids of the providers that the key serves; null: all. An id whose provider is gone names nothing.
ALTER TABLE ai_gateway_keys ADD COLUMN providers JSONB
    CONSTRAINT ai_gateway_keys_providers_check CHECK (jsonb_typeof(providers) = 'array');
-- Networks that the key may be used from; null: anywhere.
ALTER TABLE ai_gateway_keys ADD COLUMN allowed_cidrs JSONB
    CONSTRAINT ai_gateway_keys_allowed_cidrs_check CHECK (jsonb_typeof(allowed_cidrs) = 'array');
CREATE INDEX ai_gateway_keys_expires_at_idx ON ai_gateway_keys (expires_at, id);

-- Secrets that a rotation replaced. Each lets in until valid_until; afterwards it is kept for a while, so that its holder
-- hears that it was rotated.
CREATE TABLE ai_gateway_key_retired_secrets (
    hashed_secret BYTEA NOT NULL,
    key_id UUID NOT NULL,
    secret_prefix TEXT NOT NULL,
    retired_at TIMESTAMPTZ NOT NULL,
    valid_until TIMESTAMPTZ NOT NULL,
    CONSTRAINT ai_gateway_key_retired_secrets_pkey PRIMARY KEY (hashed_secret),
    CONSTRAINT ai_gateway_key_retired_secrets_key_id_fkey FOREIGN KEY (key_id) REFERENCES ai_gateway_keys (id) ON DELETE CASCADE
);
CREATE INDEX ai_gateway_key_retired_secrets_key_id_idx ON ai_gateway_key_retired_secrets (key_id, valid_until);
CREATE INDEX ai_gateway_key_retired_secrets_valid_until_idx ON ai_gateway_key_retired_secrets (valid_until);
