-- Why a version was made, in the words of who made it, and what it was called then: empty where a
-- master of the release before has written it. A job's version has the reason of its interface's.
ALTER TABLE interface_version ADD COLUMN name VARCHAR(255) NOT NULL DEFAULT '';
ALTER TABLE interface_version ADD COLUMN reason VARCHAR(500) NOT NULL DEFAULT '';
ALTER TABLE job_version ADD COLUMN name VARCHAR(255) NOT NULL DEFAULT '';
ALTER TABLE dispatch_version ADD COLUMN name VARCHAR(255) NOT NULL DEFAULT '';
ALTER TABLE dispatch_version ADD COLUMN reason VARCHAR(500) NOT NULL DEFAULT '';
