-- The token that its user made it with: it lives no longer, and ends with it.
ALTER TABLE tokens ADD COLUMN made_by UUID;
CREATE INDEX tokens_made_by_idx ON tokens (made_by);
-- Whose secret a remembered answer shows: it is forgotten with it.
ALTER TABLE idempotency_keys ADD COLUMN target_id UUID;
-- Whether a replica gave times that can't be, and those of the arrival stand in their place.
ALTER TABLE interceptions ADD COLUMN times_replaced BOOLEAN NOT NULL DEFAULT FALSE;
