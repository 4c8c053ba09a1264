-- Versions of exec hosts and of projects, as of every other definition: who, when, why, and what it was.
CREATE TABLE host_version (
  host_id BIGINT NOT NULL,
  version BIGINT NOT NULL,
  project_id BIGINT NOT NULL,
  name VARCHAR(255) NOT NULL,
  spec LONGTEXT NOT NULL,
  note VARCHAR(255) NOT NULL,
  reason VARCHAR(500) NOT NULL,
  at_ms BIGINT NOT NULL,
  by_user BIGINT NOT NULL,
  PRIMARY KEY (host_id, version)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE TABLE project_version (
  project_id BIGINT NOT NULL,
  version BIGINT NOT NULL,
  name VARCHAR(255) NOT NULL,
  spec LONGTEXT NOT NULL,
  note VARCHAR(255) NOT NULL,
  reason VARCHAR(500) NOT NULL,
  at_ms BIGINT NOT NULL,
  by_user BIGINT NOT NULL,
  PRIMARY KEY (project_id, version)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- What they are now is the first version of them that is known.
INSERT INTO host_version (host_id, version, project_id, name, spec, note, reason, at_ms, by_user)
  SELECT id, version, project_id, name, spec, '', '', updated_ms, updated_by FROM host
  WHERE deleted_ms IS NULL AND id NOT IN (SELECT host_id FROM host_version);
INSERT INTO project_version (project_id, version, name, spec, note, reason, at_ms, by_user)
  SELECT id, row_version, name, REPLACE('{"run_as":"@"}', '@', run_as), '', '', created_ms, 0 FROM project
  WHERE id NOT IN (SELECT project_id FROM project_version);
