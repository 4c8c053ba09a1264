-- Rows that the steps of an attempt have moved, as its own log says: written once, after its end.
CREATE TABLE step_count (
  run_id BIGINT NOT NULL,
  job_id BIGINT NOT NULL,
  number BIGINT NOT NULL,
  reign BIGINT NOT NULL,
  place BIGINT NOT NULL,
  part VARCHAR(255) NOT NULL,
  step VARCHAR(255) NOT NULL,
  line_count BIGINT NOT NULL,
  input_rows BIGINT NOT NULL,
  output_rows BIGINT NOT NULL,
  read_rows BIGINT NOT NULL,
  written_rows BIGINT NOT NULL,
  updated_rows BIGINT NOT NULL,
  error_rows BIGINT NOT NULL,
  PRIMARY KEY (run_id, job_id, number, reign, place)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;
