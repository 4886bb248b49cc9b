-- Usernames as directories have them, e-mail addresses among them. All old ones are valid.
-- SQLite can't change a constraint; copying the table would break the references to it. So the text of the check is changed in the
-- schema, which says nothing of how rows are stored. RESET reads the schema anew; the columns that follow make other connections do so.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql,
    'CHECK (length(username) BETWEEN 1 AND 64 AND username NOT GLOB ''*[^a-z0-9-]*'' AND username NOT GLOB ''-*'' AND username NOT GLOB ''*-'' AND username NOT GLOB ''*--*'')',
    'CHECK (length(username) BETWEEN 1 AND 200 AND username NOT GLOB ''*[^a-z0-9._+@-]*'' AND username GLOB ''[a-z0-9]*'' AND username GLOB ''*[a-z0-9]'')')
WHERE type = 'table' AND name = 'users';
PRAGMA writable_schema = RESET;
-- What people are called, and where they are reached.
ALTER TABLE users ADD COLUMN display_name TEXT CONSTRAINT users_display_name_check CHECK (length(display_name) BETWEEN 1 AND 100);
ALTER TABLE users ADD COLUMN email TEXT CONSTRAINT users_email_check CHECK (length(email) BETWEEN 3 AND 254);
