-- What was asked of the provider, where a route named another model than the client; cost follows this one.
ALTER TABLE interceptions ADD COLUMN served_model TEXT;
