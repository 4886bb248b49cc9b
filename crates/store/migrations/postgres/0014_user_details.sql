-- Usernames as directories have them, e-mail addresses among them. All old ones are valid.
ALTER TABLE users DROP CONSTRAINT users_username_check;
ALTER TABLE users ADD CONSTRAINT users_username_check
    CHECK (length(username) BETWEEN 1 AND 200 AND username COLLATE "C" ~ '^[a-z0-9]([a-z0-9._+@-]*[a-z0-9])?$');
-- What people are called, and where they are reached.
ALTER TABLE users ADD COLUMN display_name TEXT CONSTRAINT users_display_name_check CHECK (length(display_name) BETWEEN 1 AND 100);
ALTER TABLE users ADD COLUMN email TEXT CONSTRAINT users_email_check CHECK (length(email) BETWEEN 3 AND 254);
