-- Which days work: weekly days of rest, holidays, days worked to make up for them.
CREATE TABLE calendar (
  id BIGINT NOT NULL PRIMARY KEY,
  project_id BIGINT NOT NULL,
  name VARCHAR(255) NOT NULL,
  version BIGINT NOT NULL,
  deleted_ms BIGINT,
  updated_ms BIGINT NOT NULL,
  updated_by BIGINT NOT NULL,
  UNIQUE (project_id, name)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE TABLE calendar_version (
  calendar_id BIGINT NOT NULL,
  version BIGINT NOT NULL,
  project_id BIGINT NOT NULL,
  name VARCHAR(255) NOT NULL,
  spec LONGTEXT NOT NULL,
  note VARCHAR(255) NOT NULL,
  reason VARCHAR(500) NOT NULL,
  at_ms BIGINT NOT NULL,
  by_user BIGINT NOT NULL,
  PRIMARY KEY (calendar_id, version)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;
