-- What people asked of an execution is found by when they asked.
CREATE INDEX command_at ON command (at_ms, id);
