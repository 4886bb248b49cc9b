-- An object has one maker, the first who is known: nobody else comes to own it by a record that names it, too.
DELETE FROM stored_objects WHERE EXISTS (SELECT 1 FROM stored_objects o WHERE o.object_hash = stored_objects.object_hash
    AND (o.created_at, o.user_id) < (stored_objects.created_at, stored_objects.user_id));
ALTER TABLE stored_objects DROP CONSTRAINT stored_objects_pkey;
ALTER TABLE stored_objects ADD CONSTRAINT stored_objects_pkey PRIMARY KEY (object_hash);
