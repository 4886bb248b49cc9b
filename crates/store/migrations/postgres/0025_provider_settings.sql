-- What a provider's address does not say of it: short texts by name.
ALTER TABLE providers ADD COLUMN settings JSONB NOT NULL DEFAULT '{}'
    CONSTRAINT providers_settings_check CHECK (jsonb_typeof(settings) = 'object');
