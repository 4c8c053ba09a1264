-- Why an attempt had no place until it was assigned: what its job waited for last.
ALTER TABLE attempt ADD COLUMN queued_why VARCHAR(255) NOT NULL DEFAULT '';

-- What is stale, of all interfaces or of one. Only the mark of it ever changes.
CREATE INDEX run_stale ON run (stale, interface_id, period_ms, id);
