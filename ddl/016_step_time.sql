-- How long a step of an attempt took, and at which row it is while it goes on: its rows are kept while it
-- runs, too.
ALTER TABLE step_count ADD COLUMN took_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE step_count ADD COLUMN at_row BIGINT NOT NULL DEFAULT 0;
