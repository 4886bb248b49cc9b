-- Who made an object that a provider stores, by the hash of its id. Rows refer to users, which are never removed; the row goes when
-- its time is over, whatever becomes of its interception.
CREATE TABLE stored_objects (
    object_hash BYTEA NOT NULL,
    user_id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT stored_objects_pkey PRIMARY KEY (object_hash, user_id),
    CONSTRAINT stored_objects_object_hash_check CHECK (length(object_hash) = 32)
);
CREATE INDEX stored_objects_created_at_idx ON stored_objects (created_at);
