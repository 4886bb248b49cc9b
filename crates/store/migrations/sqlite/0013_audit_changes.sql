-- What a change changed: the fields that differ, as texts, before and after it.
ALTER TABLE audit_entries ADD COLUMN fields_before TEXT NOT NULL DEFAULT '{}';
ALTER TABLE audit_entries ADD COLUMN fields_after TEXT NOT NULL DEFAULT '{}';
