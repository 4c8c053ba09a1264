-- Backfills: a plan and how far it has come; its executions have its id as their command.
CREATE TABLE backfill (
  id BIGINT NOT NULL PRIMARY KEY,
  project_id BIGINT NOT NULL,
  interface_id BIGINT NOT NULL,
  by_user BIGINT NOT NULL,
  spec LONGTEXT NOT NULL,
  pins LONGTEXT NOT NULL,
  planned BIGINT NOT NULL,
  made BIGINT NOT NULL,
  failed BIGINT NOT NULL,
  cursor_period VARCHAR(32),
  state VARCHAR(16) NOT NULL,
  why VARCHAR(255) NOT NULL,
  created_ms BIGINT NOT NULL,
  ended_ms BIGINT
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE INDEX backfill_state ON backfill (state, id);
CREATE INDEX backfill_interface ON backfill (interface_id, id);
CREATE INDEX execution_command ON execution (command_id);
