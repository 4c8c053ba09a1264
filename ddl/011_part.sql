-- Runs of some of their jobs only, and jobs that a person has made begin.
ALTER TABLE run ADD COLUMN is_partial BIGINT NOT NULL DEFAULT 0;
-- From when its age counts: its start, or when a person last let it go on.
ALTER TABLE run ADD COLUMN age_from_ms BIGINT;
-- 0: no; 1: whatever the jobs before it have come to; 2: and whatever its run waits for.
ALTER TABLE job_run ADD COLUMN forced BIGINT NOT NULL DEFAULT 0;
