-- What a change changed: the fields that differ, as texts, before and after it.
ALTER TABLE audit_entries ADD COLUMN fields_before JSONB NOT NULL DEFAULT '{}';
ALTER TABLE audit_entries ADD COLUMN fields_after JSONB NOT NULL DEFAULT '{}';
