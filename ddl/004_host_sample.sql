-- How busy a host was of late: a ring of places, one for each stretch of time, written over in turn.
CREATE TABLE host_sample (
  host_id BIGINT NOT NULL,
  place BIGINT NOT NULL,
  at_ms BIGINT NOT NULL,
  cpu_permille BIGINT NOT NULL,
  memory_permille BIGINT NOT NULL,
  load_centi BIGINT NOT NULL,
  PRIMARY KEY (host_id, place)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;
