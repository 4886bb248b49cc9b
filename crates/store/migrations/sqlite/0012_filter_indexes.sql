-- An index for each filter of the listings. Rows with the usual outcome are not in one: the index by time finds them.
-- The same indexes as in ../postgres; here the order matters. SQLite has no statistics and takes, of the indexes that would do, the
-- one that was made last: the one with the fewest rows for a value has to be that.
CREATE INDEX interceptions_client_idx ON interceptions (client, started_at, id);
CREATE INDEX interceptions_provider_idx ON interceptions (provider, started_at, id);
CREATE INDEX interceptions_model_idx ON interceptions (model, started_at, id);
DROP INDEX interceptions_user_id_idx;
CREATE INDEX interceptions_user_id_idx ON interceptions (user_id, started_at, id);
CREATE INDEX interceptions_outcome_idx ON interceptions (outcome, started_at, id) WHERE outcome <> 'completed';
CREATE INDEX interceptions_client_session_id_idx ON interceptions (client_session_id, started_at, id)
    WHERE client_session_id IS NOT NULL;
DROP INDEX interceptions_session_id_idx;
CREATE INDEX interceptions_session_id_idx ON interceptions (session_id, started_at, id);
DROP INDEX audit_entries_resource_type_idx;
CREATE INDEX audit_entries_resource_type_idx ON audit_entries (resource_type, created_at, id);
CREATE INDEX audit_entries_action_idx ON audit_entries (action, created_at, id);
DROP INDEX audit_entries_actor_id_idx;
CREATE INDEX audit_entries_actor_id_idx ON audit_entries (actor_id, created_at, id);
CREATE INDEX audit_entries_actor_name_idx ON audit_entries (actor_name, created_at, id);
CREATE INDEX audit_entries_control_plane_idx ON audit_entries (created_at, id) WHERE actor_kind = 'control_plane';
-- Names of deleted users, whose records are still asked for.
CREATE INDEX users_deleted_username_idx ON users (lower(username), deleted_at) WHERE deleted_at IS NOT NULL;
