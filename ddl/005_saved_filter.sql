-- What a person looks for again and again: the query of a list's address, under a name.
CREATE TABLE saved_filter (
  user_id BIGINT NOT NULL,
  list VARCHAR(64) NOT NULL, -- the path of the list
  name VARCHAR(64) NOT NULL,
  query VARCHAR(1024) NOT NULL,
  at_ms BIGINT NOT NULL,
  PRIMARY KEY (user_id, list, name)
) /*! ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin */;
