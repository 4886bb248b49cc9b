-- Which interception made an object that a provider stores: whoever is shown the end of one that is unfinished can complete it.
ALTER TABLE stored_objects ADD COLUMN interception_id BLOB;
