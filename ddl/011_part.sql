-- Runs of some of their jobs only, and jobs that a person has made begin.
ALTER TABLE run ADD COLUMN is_partial BIGINT NOT NULL DEFAULT 0;
-- 0: no; 1: whatever the jobs before it have come to; 2: and whatever its run waits for.
ALTER TABLE job_run ADD COLUMN forced BIGINT NOT NULL DEFAULT 0;
