-- As which user of the hosts the jobs of a project run; empty: as each host's own rule says.
ALTER TABLE project ADD COLUMN run_as VARCHAR(32) NOT NULL DEFAULT '';
