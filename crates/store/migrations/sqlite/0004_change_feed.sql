-- The feed by which control planes tell each other what replicas must hear of, and the registry of replicas.
-- The same tables, columns, checks and indexes as in ../postgres; a test holds the two against each other.

-- Kinds are not checked: a control plane passes over what a newer one writes.
CREATE TABLE changes (
    seq INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject BLOB NOT NULL,
    CONSTRAINT changes_pkey PRIMARY KEY (seq),
    CONSTRAINT changes_kind_check CHECK (length(kind) BETWEEN 1 AND 64),
    CONSTRAINT changes_subject_check CHECK (length(subject) <= 64)
) STRICT;

-- One row: the last number given. Its lock is held to the end of the transaction, so that numbers become visible in their
-- order and without gaps.
CREATE TABLE change_counters (
    id INTEGER NOT NULL,
    last INTEGER NOT NULL,
    CONSTRAINT change_counters_pkey PRIMARY KEY (id),
    CONSTRAINT change_counters_id_check CHECK (id = 1)
) STRICT;
INSERT INTO change_counters (id, last) VALUES (1, 0);

-- A replica goes on being listed for a while when its gateway key is deleted, so the key is named by value only.
CREATE TABLE replicas (
    id BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    gateway_key_id BLOB NOT NULL,
    gateway_key_name TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    address TEXT NOT NULL,
    labels TEXT NOT NULL,
    control_plane_id BLOB NOT NULL,
    attachment_id BLOB NOT NULL,
    connected_at INTEGER NOT NULL,
    last_heartbeat_at INTEGER NOT NULL,
    spool_depth INTEGER NOT NULL,
    set_aside INTEGER NOT NULL,
    in_flight INTEGER NOT NULL,
    configuration_version INTEGER NOT NULL,
    state TEXT NOT NULL,
    drain_requested_at INTEGER,
    CONSTRAINT replicas_pkey PRIMARY KEY (id),
    CONSTRAINT replicas_state_check CHECK (state IN ('attached', 'detached', 'lost'))
) STRICT;
CREATE INDEX replicas_created_at_idx ON replicas (created_at, id);
CREATE INDEX replicas_gateway_key_id_idx ON replicas (gateway_key_id, created_at, id);
CREATE INDEX replicas_last_heartbeat_at_idx ON replicas (last_heartbeat_at);
