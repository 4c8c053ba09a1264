-- What ran for one period, among all that ever ran.
CREATE INDEX execution_period ON execution (period, created_ms, id);
