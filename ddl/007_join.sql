-- With what a host may join: one token each, good once; sealed under the key of the cluster.
CREATE TABLE join_token (
  host_id BIGINT NOT NULL PRIMARY KEY,
  sealed VARBINARY(255) NOT NULL,
  created_ms BIGINT NOT NULL,
  created_by BIGINT NOT NULL,
  expires_ms BIGINT NOT NULL,
  used_ms BIGINT
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;
