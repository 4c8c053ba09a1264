-- How many executions of a backfill are in which state, without looking at the executions themselves.
CREATE INDEX execution_fill ON execution (command_id, origin, state);
