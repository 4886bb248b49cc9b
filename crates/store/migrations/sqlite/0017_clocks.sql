-- How far a replica's clock was ahead of the control plane's at its last heartbeat, in milliseconds.
ALTER TABLE replicas ADD COLUMN clock_skew_ms INTEGER;
-- When a record arrived; null of those from before this column. What its replica said of its times, where that can't be and the times of the
-- arrival stand in their place.
ALTER TABLE interceptions ADD COLUMN received_at INTEGER;
ALTER TABLE interceptions ADD COLUMN told_started_at INTEGER;
ALTER TABLE interceptions ADD COLUMN told_ended_at INTEGER;
