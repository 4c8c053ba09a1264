-- Which entry of a job has begun what a step is of, below those that have begun that job; empty: none, or not told.
ALTER TABLE step_count ADD COLUMN entry VARCHAR(255) NOT NULL DEFAULT '';
