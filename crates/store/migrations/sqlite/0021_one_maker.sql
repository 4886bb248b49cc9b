-- An object has one maker, the first who is known: nobody else comes to own it by a record that names it, too.
DELETE FROM stored_objects WHERE EXISTS (SELECT 1 FROM stored_objects o WHERE o.object_hash = stored_objects.object_hash
    AND (o.created_at, o.user_id) < (stored_objects.created_at, stored_objects.user_id));
CREATE TABLE stored_objects_of_one (
    object_hash BLOB NOT NULL,
    user_id BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    interception_id BLOB,
    CONSTRAINT stored_objects_pkey PRIMARY KEY (object_hash),
    CONSTRAINT stored_objects_object_hash_check CHECK (length(object_hash) = 32)
) STRICT;
INSERT INTO stored_objects_of_one (object_hash, user_id, created_at, interception_id)
    SELECT object_hash, user_id, created_at, interception_id FROM stored_objects;
DROP TABLE stored_objects;
ALTER TABLE stored_objects_of_one RENAME TO stored_objects;
CREATE INDEX stored_objects_created_at_idx ON stored_objects (created_at);
