-- The first schema. One text for MySQL, MariaDB and SQLite: what stands in /*! ... */ only MySQL reads.
-- Times are milliseconds since 1970 UTC in BIGINT. Texts of definitions and lists are JSON in LONGTEXT,
-- opaque to SQL. Small ids come from `sequence`; ids of executions and runs are derived (63 bits).
-- One statement per `;` at the end of a line.

CREATE TABLE sequence (
  name VARCHAR(32) NOT NULL PRIMARY KEY,
  next BIGINT NOT NULL
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- Raised by every edit of a definition; a row of its own, so that an edit never waits for the leader.
CREATE TABLE revision (
  name VARCHAR(32) NOT NULL PRIMARY KEY,
  value BIGINT NOT NULL
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- Who leads. Every batch of the leader begins with an update of this row (rule L3).
CREATE TABLE leader (
  cluster VARCHAR(64) NOT NULL PRIMARY KEY,
  epoch BIGINT NOT NULL,
  holder BIGINT NOT NULL,
  server VARCHAR(64) NOT NULL,
  batch BIGINT NOT NULL,
  since_ms BIGINT NOT NULL,
  url VARCHAR(255) NOT NULL
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- ---- whom things belong to ----

CREATE TABLE project (
  id BIGINT NOT NULL PRIMARY KEY,
  name VARCHAR(64) NOT NULL,
  title VARCHAR(255) NOT NULL,
  params LONGTEXT NOT NULL, -- JSON: the weakest of the parameters
  created_ms BIGINT NOT NULL,
  row_version BIGINT NOT NULL,
  UNIQUE (name)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE TABLE user_account (
  id BIGINT NOT NULL PRIMARY KEY,
  name VARCHAR(64) NOT NULL,
  title VARCHAR(255) NOT NULL,
  password_hash VARCHAR(255) NOT NULL,
  disabled BIGINT NOT NULL,
  created_ms BIGINT NOT NULL,
  row_version BIGINT NOT NULL,
  UNIQUE (name)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- project_id 0: in every project. rights: a comma-separated set of view, write, execute, schedule, admin.
CREATE TABLE user_right (
  user_id BIGINT NOT NULL,
  project_id BIGINT NOT NULL,
  rights VARCHAR(128) NOT NULL,
  PRIMARY KEY (user_id, project_id)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- A program's way in. Only the SHA-256 of the token is kept.
CREATE TABLE token (
  id BIGINT NOT NULL PRIMARY KEY,
  user_id BIGINT NOT NULL,
  name VARCHAR(64) NOT NULL,
  hash VARBINARY(32) NOT NULL,
  created_ms BIGINT NOT NULL,
  expires_ms BIGINT NOT NULL,
  revoked_ms BIGINT,
  UNIQUE (hash)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- Values are sealed (AEAD, the row's id as associated data); specs hold references.
CREATE TABLE secret (
  id BIGINT NOT NULL PRIMARY KEY,
  project_id BIGINT NOT NULL,
  name VARCHAR(128) NOT NULL,
  key_id VARCHAR(64) NOT NULL,
  sealed VARBINARY(8192) NOT NULL,
  updated_ms BIGINT NOT NULL,
  row_version BIGINT NOT NULL,
  UNIQUE (project_id, name)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- ---- definitions: the newest version is in the row, every version in *_version ----
-- A run names the version of its interface. Saving an interface or any job of it makes the next one;
-- a job's spec at version v is its newest row with version <= v.

CREATE TABLE interface (
  id BIGINT NOT NULL PRIMARY KEY,
  project_id BIGINT NOT NULL,
  name VARCHAR(255) NOT NULL,
  version BIGINT NOT NULL,
  deleted_ms BIGINT,
  updated_ms BIGINT NOT NULL,
  updated_by BIGINT NOT NULL,
  UNIQUE (project_id, name)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE TABLE interface_version (
  interface_id BIGINT NOT NULL,
  version BIGINT NOT NULL,
  project_id BIGINT NOT NULL,
  spec LONGTEXT NOT NULL,
  note VARCHAR(255) NOT NULL,
  at_ms BIGINT NOT NULL,
  by_user BIGINT NOT NULL,
  PRIMARY KEY (interface_id, version)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE TABLE job (
  id BIGINT NOT NULL PRIMARY KEY,
  project_id BIGINT NOT NULL,
  interface_id BIGINT NOT NULL,
  name VARCHAR(255) NOT NULL,
  version BIGINT NOT NULL,
  deleted_ms BIGINT,
  updated_ms BIGINT NOT NULL,
  updated_by BIGINT NOT NULL,
  UNIQUE (interface_id, name)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- version: of the interface, from which on this holds. deleted: from which on the job is not there.
CREATE TABLE job_version (
  job_id BIGINT NOT NULL,
  version BIGINT NOT NULL,
  project_id BIGINT NOT NULL,
  interface_id BIGINT NOT NULL,
  deleted BIGINT NOT NULL,
  spec LONGTEXT NOT NULL,
  at_ms BIGINT NOT NULL,
  by_user BIGINT NOT NULL,
  PRIMARY KEY (job_id, version)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE INDEX job_version_interface ON job_version (interface_id, version);

CREATE TABLE dispatch (
  id BIGINT NOT NULL PRIMARY KEY,
  project_id BIGINT NOT NULL,
  interface_id BIGINT NOT NULL,
  name VARCHAR(255) NOT NULL,
  version BIGINT NOT NULL,
  deleted_ms BIGINT,
  updated_ms BIGINT NOT NULL,
  updated_by BIGINT NOT NULL,
  UNIQUE (project_id, name)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE INDEX dispatch_interface ON dispatch (interface_id);

CREATE TABLE dispatch_version (
  dispatch_id BIGINT NOT NULL,
  version BIGINT NOT NULL,
  project_id BIGINT NOT NULL,
  spec LONGTEXT NOT NULL,
  note VARCHAR(255) NOT NULL,
  at_ms BIGINT NOT NULL,
  by_user BIGINT NOT NULL,
  PRIMARY KEY (dispatch_id, version)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- project_id 0: shared by all on purpose.
CREATE TABLE host (
  id BIGINT NOT NULL PRIMARY KEY,
  project_id BIGINT NOT NULL,
  name VARCHAR(255) NOT NULL,
  agent VARCHAR(64) NOT NULL,
  spec LONGTEXT NOT NULL,
  version BIGINT NOT NULL,
  deleted_ms BIGINT,
  updated_ms BIGINT NOT NULL,
  updated_by BIGINT NOT NULL,
  UNIQUE (name)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE TABLE pool (
  id BIGINT NOT NULL PRIMARY KEY,
  project_id BIGINT NOT NULL,
  name VARCHAR(128) NOT NULL,
  slots BIGINT NOT NULL,
  row_version BIGINT NOT NULL,
  UNIQUE (project_id, name)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- ---- run state: only the leader writes it ----

-- How far a dispatch has been decided, and whether a person has paused it. The cursor goes forward only.
CREATE TABLE dispatch_state (
  dispatch_id BIGINT NOT NULL PRIMARY KEY,
  project_id BIGINT NOT NULL,
  cursor_ms BIGINT NOT NULL,
  paused BIGINT NOT NULL
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- The truth of time: also for what was skipped, late, or misfired.
CREATE TABLE firing (
  dispatch_id BIGINT NOT NULL,
  instant_ms BIGINT NOT NULL,
  project_id BIGINT NOT NULL,
  dispatch_version BIGINT NOT NULL,
  period VARCHAR(32) NOT NULL,
  decision VARCHAR(16) NOT NULL,
  why VARCHAR(255) NOT NULL,
  execution_id BIGINT,
  decided_ms BIGINT NOT NULL,
  PRIMARY KEY (dispatch_id, instant_ms)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- origin: cron, hand, api, file, backfill. state: folded from its runs.
-- runs: JSON list of the ids of the runs it owns or joined, parents first.
CREATE TABLE execution (
  id BIGINT NOT NULL PRIMARY KEY,
  project_id BIGINT NOT NULL,
  interface_id BIGINT NOT NULL,
  period VARCHAR(32) NOT NULL,
  origin VARCHAR(16) NOT NULL,
  dispatch_id BIGINT,
  instant_ms BIGINT,
  command_id BIGINT,
  by_user BIGINT,
  is_cascade BIGINT NOT NULL,
  params LONGTEXT NOT NULL,
  state VARCHAR(16) NOT NULL,
  runs LONGTEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  ended_ms BIGINT,
  batch BIGINT NOT NULL
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE INDEX execution_created ON execution (created_ms, id);
CREATE INDEX execution_state ON execution (state, created_ms, id);
CREATE INDEX execution_interface ON execution (interface_id, created_ms);
CREATE INDEX execution_dispatch ON execution (dispatch_id, instant_ms);

-- period_ms: when the period begins, for order. waits: JSON, what it still waits for outside.
-- batch: of the leader, when this row changed last: live pages catch up by it.
CREATE TABLE run (
  id BIGINT NOT NULL PRIMARY KEY,
  project_id BIGINT NOT NULL,
  interface_id BIGINT NOT NULL,
  period VARCHAR(32) NOT NULL,
  period_ms BIGINT NOT NULL,
  generation BIGINT NOT NULL,
  version BIGINT NOT NULL,
  execution_id BIGINT NOT NULL,
  priority BIGINT NOT NULL,
  params LONGTEXT NOT NULL,
  state VARCHAR(16) NOT NULL,
  paused BIGINT NOT NULL,
  stale BIGINT NOT NULL,
  waits LONGTEXT NOT NULL,
  wait_until_ms BIGINT NOT NULL,
  created_ms BIGINT NOT NULL,
  started_ms BIGINT,
  ended_ms BIGINT,
  batch BIGINT NOT NULL,
  UNIQUE (interface_id, period, generation)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE INDEX run_state ON run (state, id);
CREATE INDEX run_interface ON run (interface_id, period_ms);
CREATE INDEX run_ended ON run (ended_ms, id);

-- state: the words of ARCHITECTURE (States). reason: why it is queued, skipped, failed.
-- number, reign: its newest attempt; host_id, incarnation, basis_seq: where that one is.
CREATE TABLE job_run (
  run_id BIGINT NOT NULL,
  job_id BIGINT NOT NULL,
  project_id BIGINT NOT NULL,
  state VARCHAR(16) NOT NULL,
  reason VARCHAR(255) NOT NULL,
  number BIGINT NOT NULL,
  reign BIGINT NOT NULL,
  allowed BIGINT NOT NULL,
  not_before_ms BIGINT NOT NULL,
  waits LONGTEXT NOT NULL,
  host_id BIGINT,
  incarnation VARCHAR(32),
  basis_seq BIGINT,
  ready_ms BIGINT,
  started_ms BIGINT,
  ended_ms BIGINT,
  batch BIGINT NOT NULL,
  PRIMARY KEY (run_id, job_id)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE INDEX job_run_state ON job_run (state, run_id);
CREATE INDEX job_run_job ON job_run (job_id, run_id);

-- end_kind: code, signal, killed, fenced, timed_out, refused, unknown, lost, abandoned.
-- mark: plain, orphan, abandoned.
CREATE TABLE attempt (
  run_id BIGINT NOT NULL,
  job_id BIGINT NOT NULL,
  number BIGINT NOT NULL,
  reign BIGINT NOT NULL,
  project_id BIGINT NOT NULL,
  host_id BIGINT NOT NULL,
  incarnation VARCHAR(32) NOT NULL,
  basis_seq BIGINT NOT NULL,
  mark VARCHAR(16) NOT NULL,
  end_kind VARCHAR(16),
  end_code BIGINT,
  end_text VARCHAR(255),
  assigned_ms BIGINT NOT NULL,
  started_ms BIGINT,
  ended_ms BIGINT,
  out_bytes BIGINT NOT NULL,
  err_bytes BIGINT NOT NULL,
  rss_max_kib BIGINT,
  cpu_ms BIGINT,
  PRIMARY KEY (run_id, job_id, number, reign)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE INDEX attempt_mark ON attempt (mark, host_id);

-- The database may have lost what this host was told; until it has told us, it may run anything (rule L5).
CREATE TABLE host_doubt (
  host_id BIGINT NOT NULL PRIMARY KEY
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- What the leader last heard of a host: for pages, outside of the guarded batches.
CREATE TABLE host_status (
  host_id BIGINT NOT NULL PRIMARY KEY,
  state VARCHAR(16) NOT NULL,
  heard_ms BIGINT NOT NULL,
  incarnation VARCHAR(32) NOT NULL,
  why VARCHAR(255) NOT NULL,
  facts LONGTEXT NOT NULL
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

-- ---- what people ask for, and what is told ----

-- The verbs of pages and API, obeyed in the order of their ids; the audit trail of operations.
CREATE TABLE command (
  id BIGINT NOT NULL PRIMARY KEY,
  project_id BIGINT NOT NULL,
  verb VARCHAR(32) NOT NULL,
  args LONGTEXT NOT NULL,
  by_user BIGINT NOT NULL,
  at_ms BIGINT NOT NULL,
  result VARCHAR(16),
  answer LONGTEXT,
  done_ms BIGINT
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE INDEX command_result ON command (result, id);

-- Alerts, written in the batch of what they tell of.
CREATE TABLE outbox (
  id BIGINT NOT NULL PRIMARY KEY,
  project_id BIGINT NOT NULL,
  event VARCHAR(32) NOT NULL,
  execution_id BIGINT,
  run_id BIGINT,
  job_id BIGINT,
  body LONGTEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  sent_ms BIGINT
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE INDEX outbox_sent ON outbox (sent_ms, id);

CREATE TABLE audit (
  id BIGINT NOT NULL PRIMARY KEY,
  project_id BIGINT NOT NULL,
  at_ms BIGINT NOT NULL,
  by_user BIGINT NOT NULL,
  from_address VARCHAR(64) NOT NULL,
  action VARCHAR(64) NOT NULL,
  object VARCHAR(32) NOT NULL,
  object_id BIGINT NOT NULL,
  detail LONGTEXT NOT NULL
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

CREATE INDEX audit_at ON audit (at_ms, id);

-- Certificates this cluster's authority has signed: for the alarm before expiry and the deny-list.
CREATE TABLE certificate (
  serial VARCHAR(64) NOT NULL PRIMARY KEY,
  role VARCHAR(16) NOT NULL,
  agent VARCHAR(64) NOT NULL,
  issued_ms BIGINT NOT NULL,
  expires_ms BIGINT NOT NULL,
  denied_ms BIGINT
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;

INSERT INTO revision (name, value) VALUES ('definition', 1);
INSERT INTO project (id, name, title, params, created_ms, row_version) VALUES (1, 'default', 'Default', '{}', 0, 1);
INSERT INTO sequence (name, next) VALUES ('project', 2);
