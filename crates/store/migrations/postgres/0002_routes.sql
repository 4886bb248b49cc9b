-- Policies of providers, and routes.
-- The same tables, columns, checks and indexes as in ../sqlite; a test holds the two against each other.

-- What the operator has set of a provider's policy; what is left out follows the defaults.
ALTER TABLE providers ADD COLUMN policy JSONB NOT NULL DEFAULT '{}'
    CONSTRAINT providers_policy_check CHECK (jsonb_typeof(policy) = 'object');

-- Where requests to a provider for certain models go.
CREATE TABLE routes (
    id UUID NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    name TEXT NOT NULL,
    provider_id UUID NOT NULL,
    model TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    CONSTRAINT routes_pkey PRIMARY KEY (id),
    CONSTRAINT routes_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES providers (id),
    CONSTRAINT routes_name_check CHECK (length(name) BETWEEN 1 AND 64 AND name COLLATE "C" ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    CONSTRAINT routes_model_check CHECK (length(model) BETWEEN 1 AND 256)
);
CREATE UNIQUE INDEX routes_name_idx ON routes (lower(name));
CREATE INDEX routes_created_at_idx ON routes (created_at, id);
CREATE INDEX routes_provider_id_idx ON routes (provider_id);

CREATE TABLE route_targets (
    route_id UUID NOT NULL,
    kind TEXT NOT NULL,
    position BIGINT NOT NULL,
    provider_id UUID NOT NULL,
    model TEXT,
    weight BIGINT NOT NULL,
    CONSTRAINT route_targets_pkey PRIMARY KEY (route_id, kind, position),
    CONSTRAINT route_targets_route_id_fkey FOREIGN KEY (route_id) REFERENCES routes (id) ON DELETE CASCADE,
    CONSTRAINT route_targets_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES providers (id),
    CONSTRAINT route_targets_kind_check CHECK (kind IN ('target', 'fallback')),
    CONSTRAINT route_targets_model_check CHECK (length(model) BETWEEN 1 AND 256),
    CONSTRAINT route_targets_weight_check CHECK (weight BETWEEN 1 AND 1000)
);
CREATE INDEX route_targets_provider_id_idx ON route_targets (provider_id);
