-- Forward only. The same tables, columns, checks and indexes as in ../sqlite; a test holds the two against each other.

CREATE TABLE users (
    id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    username TEXT NOT NULL,
    role TEXT NOT NULL,
    state TEXT NOT NULL,
    deleted_at TIMESTAMPTZ,
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_username_check CHECK (length(username) BETWEEN 1 AND 64 AND username COLLATE "C" ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    CONSTRAINT users_role_check CHECK (role IN ('owner', 'auditor', 'member')),
    CONSTRAINT users_state_check CHECK (state IN ('active', 'suspended'))
);
-- A deleted user's name is free again.
CREATE UNIQUE INDEX users_username_idx ON users (lower(username)) WHERE deleted_at IS NULL;
CREATE INDEX users_created_at_idx ON users (created_at, id);

CREATE TABLE tokens (
    id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    user_id UUID NOT NULL,
    name TEXT NOT NULL,
    secret_prefix TEXT NOT NULL,
    token_hash BYTEA NOT NULL,
    scopes TEXT NOT NULL,
    expires_at TIMESTAMPTZ,
    last_used_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ,
    CONSTRAINT tokens_pkey PRIMARY KEY (id),
    CONSTRAINT tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT tokens_name_check CHECK (length(name) BETWEEN 1 AND 64 AND name COLLATE "C" ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    CONSTRAINT tokens_secret_prefix_check CHECK (length(secret_prefix) = 11),
    CONSTRAINT tokens_token_hash_check CHECK (length(token_hash) > 0),
    CONSTRAINT tokens_scopes_check CHECK (length(scopes) <= 2000)
);
CREATE UNIQUE INDEX tokens_token_hash_idx ON tokens (token_hash);
CREATE INDEX tokens_created_at_idx ON tokens (created_at, id);
CREATE INDEX tokens_user_id_idx ON tokens (user_id, created_at, id);

CREATE TABLE ai_gateway_keys (
    id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    name TEXT NOT NULL,
    secret_prefix TEXT NOT NULL,
    hashed_secret BYTEA NOT NULL,
    last_used_at TIMESTAMPTZ,
    description TEXT,
    expires_at TIMESTAMPTZ,
    created_by UUID,
    CONSTRAINT ai_gateway_keys_pkey PRIMARY KEY (id),
    CONSTRAINT ai_gateway_keys_created_by_fkey FOREIGN KEY (created_by) REFERENCES users (id),
    CONSTRAINT ai_gateway_keys_name_check CHECK (length(name) BETWEEN 1 AND 64 AND name COLLATE "C" ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    CONSTRAINT ai_gateway_keys_secret_prefix_check CHECK (length(secret_prefix) = 11),
    CONSTRAINT ai_gateway_keys_hashed_secret_check CHECK (length(hashed_secret) > 0),
    CONSTRAINT ai_gateway_keys_description_check CHECK (length(description) <= 500)
);
CREATE UNIQUE INDEX ai_gateway_keys_name_idx ON ai_gateway_keys (lower(name));
CREATE UNIQUE INDEX ai_gateway_keys_secret_prefix_idx ON ai_gateway_keys (secret_prefix);
CREATE UNIQUE INDEX ai_gateway_keys_hashed_secret_idx ON ai_gateway_keys (hashed_secret);
CREATE INDEX ai_gateway_keys_created_at_idx ON ai_gateway_keys (created_at, id);

CREATE TABLE idempotency_keys (
    id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    user_id UUID NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    request_fingerprint BYTEA NOT NULL,
    sealed_answer BYTEA NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (id),
    CONSTRAINT idempotency_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT idempotency_keys_key_check CHECK (length(key) BETWEEN 1 AND 255),
    CONSTRAINT idempotency_keys_request_fingerprint_check CHECK (length(request_fingerprint) = 32)
);
CREATE UNIQUE INDEX idempotency_keys_user_operation_key_idx ON idempotency_keys (user_id, operation, key);
CREATE INDEX idempotency_keys_expires_at_idx ON idempotency_keys (expires_at);

CREATE TABLE providers (
    id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    name TEXT NOT NULL,
    provider_type TEXT NOT NULL,
    base_url TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    allow_private BOOLEAN NOT NULL,
    CONSTRAINT providers_pkey PRIMARY KEY (id),
    CONSTRAINT providers_name_check CHECK (length(name) BETWEEN 1 AND 64 AND name COLLATE "C" ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    CONSTRAINT providers_base_url_check CHECK (length(base_url) BETWEEN 1 AND 2000)
);
CREATE UNIQUE INDEX providers_name_idx ON providers (lower(name));
CREATE INDEX providers_created_at_idx ON providers (created_at, id);

CREATE TABLE provider_keys (
    id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    provider_id UUID NOT NULL,
    position BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    masked TEXT NOT NULL,
    CONSTRAINT provider_keys_pkey PRIMARY KEY (id),
    CONSTRAINT provider_keys_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES providers (id) ON DELETE CASCADE,
    CONSTRAINT provider_keys_sealed_check CHECK (length(sealed) > 0),
    CONSTRAINT provider_keys_masked_check CHECK (length(masked) <= 32)
);
CREATE INDEX provider_keys_provider_id_idx ON provider_keys (provider_id, position, id);

-- One row: which version of the replicas' configuration the tables make up.
CREATE TABLE configuration (
    id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT configuration_pkey PRIMARY KEY (id),
    CONSTRAINT configuration_id_check CHECK (id = 1)
);
INSERT INTO configuration (id, version) VALUES (1, 1);

CREATE TABLE master_key_checks (
    id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    sealed BYTEA NOT NULL,
    CONSTRAINT master_key_checks_pkey PRIMARY KEY (id)
);

-- Rows refer to users and tokens, which are never removed; providers, gateway keys and replicas come and go, so they are
-- named by value only.
CREATE TABLE interceptions (
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    token_id UUID NOT NULL,
    provider TEXT NOT NULL,
    provider_type TEXT NOT NULL,
    api TEXT NOT NULL,
    model TEXT NOT NULL,
    streaming BOOLEAN NOT NULL,
    client TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    client_session_id TEXT,
    session_id UUID NOT NULL,
    thread_parent_tool_call_id TEXT,
    thread_parent_id UUID,
    thread_root_id UUID,
    credential_kind TEXT NOT NULL,
    credential_hint TEXT NOT NULL,
    gateway_key_id UUID,
    replica_id UUID,
    started_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ NOT NULL,
    outcome TEXT NOT NULL,
    upstream_status BIGINT,
    error_type TEXT,
    error_message TEXT,
    provider_request_id TEXT,
    stop_reason TEXT,
    attempts BIGINT NOT NULL,
    time_to_first_byte_ms BIGINT,
    overhead_us BIGINT NOT NULL,
    CONSTRAINT interceptions_pkey PRIMARY KEY (id),
    CONSTRAINT interceptions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT interceptions_token_id_fkey FOREIGN KEY (token_id) REFERENCES tokens (id)
);
CREATE INDEX interceptions_started_at_idx ON interceptions (started_at, id);
CREATE INDEX interceptions_user_id_idx ON interceptions (user_id, started_at, id);
CREATE INDEX interceptions_session_id_idx ON interceptions (session_id, started_at, id);

CREATE TABLE token_usages (
    interception_id UUID NOT NULL,
    position BIGINT NOT NULL,
    provider_response_id TEXT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cache_read_input_tokens BIGINT NOT NULL,
    cache_write_input_tokens BIGINT NOT NULL,
    cache_write_1h_input_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    estimated BOOLEAN NOT NULL,
    extra JSONB NOT NULL,
    CONSTRAINT token_usages_pkey PRIMARY KEY (interception_id, position),
    CONSTRAINT token_usages_interception_id_fkey FOREIGN KEY (interception_id) REFERENCES interceptions (id) ON DELETE CASCADE
);

CREATE TABLE prompts (
    interception_id UUID NOT NULL,
    position BIGINT NOT NULL,
    provider_response_id TEXT NOT NULL,
    prompt TEXT NOT NULL,
    CONSTRAINT prompts_pkey PRIMARY KEY (interception_id, position),
    CONSTRAINT prompts_interception_id_fkey FOREIGN KEY (interception_id) REFERENCES interceptions (id) ON DELETE CASCADE
);

-- user_id repeats the interception's, so that a thread's parent is found by one index.
CREATE TABLE tool_usages (
    interception_id UUID NOT NULL,
    position BIGINT NOT NULL,
    user_id UUID NOT NULL,
    provider_response_id TEXT NOT NULL,
    tool_call_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    input TEXT NOT NULL,
    CONSTRAINT tool_usages_pkey PRIMARY KEY (interception_id, position),
    CONSTRAINT tool_usages_interception_id_fkey FOREIGN KEY (interception_id) REFERENCES interceptions (id) ON DELETE CASCADE
);
CREATE INDEX tool_usages_tool_call_id_idx ON tool_usages (user_id, tool_call_id, interception_id);

CREATE TABLE model_thoughts (
    interception_id UUID NOT NULL,
    position BIGINT NOT NULL,
    content TEXT NOT NULL,
    source TEXT NOT NULL,
    CONSTRAINT model_thoughts_pkey PRIMARY KEY (interception_id, position),
    CONSTRAINT model_thoughts_interception_id_fkey FOREIGN KEY (interception_id) REFERENCES interceptions (id) ON DELETE CASCADE
);

-- Names are those at the time of the entry; nothing here refers to another table.
CREATE TABLE audit_entries (
    id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id UUID,
    actor_name TEXT,
    actor_token_id UUID,
    action TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    target_id UUID,
    target_name TEXT,
    target_prefix TEXT,
    outcome TEXT NOT NULL,
    detail TEXT,
    request_id UUID,
    CONSTRAINT audit_entries_pkey PRIMARY KEY (id),
    CONSTRAINT audit_entries_action_check CHECK (length(action) BETWEEN 1 AND 64),
    CONSTRAINT audit_entries_target_name_check CHECK (length(target_name) <= 200),
    CONSTRAINT audit_entries_target_prefix_check CHECK (length(target_prefix) <= 11),
    CONSTRAINT audit_entries_outcome_check CHECK (outcome IN ('ok', 'denied', 'failed')),
    CONSTRAINT audit_entries_detail_check CHECK (length(detail) <= 500)
);
CREATE INDEX audit_entries_created_at_idx ON audit_entries (created_at, id);
CREATE INDEX audit_entries_resource_type_idx ON audit_entries (resource_type, created_at, id);
CREATE INDEX audit_entries_actor_id_idx ON audit_entries (actor_id, created_at, id);
