-- The feed by which control planes tell each other what replicas must hear of, and the registry of replicas.
-- The same tables, columns, checks and indexes as in ../sqlite; a test holds the two against each other.

-- Kinds are not checked: a control plane passes over what a newer one writes.
CREATE TABLE changes (
    seq BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    kind TEXT NOT NULL,
    subject BYTEA NOT NULL,
    CONSTRAINT changes_pkey PRIMARY KEY (seq),
    CONSTRAINT changes_kind_check CHECK (length(kind) BETWEEN 1 AND 64),
    CONSTRAINT changes_subject_check CHECK (length(subject) <= 64)
);

-- One row: the last number given. Its lock is held to the end of the transaction, so that numbers become visible in their
-- order and without gaps.
CREATE TABLE change_counters (
    id BIGINT NOT NULL,
    last BIGINT NOT NULL,
    CONSTRAINT change_counters_pkey PRIMARY KEY (id),
    CONSTRAINT change_counters_id_check CHECK (id = 1)
);
INSERT INTO change_counters (id, last) VALUES (1, 0);

-- A replica goes on being listed for a while when its gateway key is deleted, so the key is named by value only.
CREATE TABLE replicas (
    id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    gateway_key_id UUID NOT NULL,
    gateway_key_name TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    address TEXT NOT NULL,
    labels JSONB NOT NULL,
    control_plane_id UUID NOT NULL,
    attachment_id UUID NOT NULL,
    connected_at TIMESTAMPTZ NOT NULL,
    last_heartbeat_at TIMESTAMPTZ NOT NULL,
    spool_depth BIGINT NOT NULL,
    set_aside BIGINT NOT NULL,
    in_flight BIGINT NOT NULL,
    configuration_version BIGINT NOT NULL,
    state TEXT NOT NULL,
    drain_requested_at TIMESTAMPTZ,
    CONSTRAINT replicas_pkey PRIMARY KEY (id),
    CONSTRAINT replicas_state_check CHECK (state IN ('attached', 'detached', 'lost'))
);
CREATE INDEX replicas_created_at_idx ON replicas (created_at, id);
CREATE INDEX replicas_gateway_key_id_idx ON replicas (gateway_key_id, created_at, id);
CREATE INDEX replicas_last_heartbeat_at_idx ON replicas (last_heartbeat_at);
