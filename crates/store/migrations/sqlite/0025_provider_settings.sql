-- What a provider's address does not say of it: short texts by name.
ALTER TABLE providers ADD COLUMN settings TEXT NOT NULL DEFAULT '{}'
    CONSTRAINT providers_settings_check CHECK (json_type(settings) = 'object');
