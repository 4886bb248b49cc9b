-- What decides the price of a pass beside its counts: the model that served it, service tier, speed, place, the provider's own cost.
ALTER TABLE token_usages ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';
