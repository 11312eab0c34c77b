/** The schema of `control.db`: each entry brings it from one version to the next. Entries are only ever added. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE snapshot (version INTEGER NOT NULL) STRICT;
  INSERT INTO snapshot VALUES (0);
  CREATE TABLE projects (
    name TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL
  ) STRICT;
  CREATE TABLE environments (
    project TEXT NOT NULL REFERENCES projects (name),
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    deployment INTEGER NOT NULL,
    cache_space TEXT NOT NULL,
    production INTEGER NOT NULL,
    preserve_cache INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (project, name)
  ) STRICT;
  CREATE TABLE deployments (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    number INTEGER NOT NULL,
    manifest TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (project, environment, number),
    FOREIGN KEY (project, environment) REFERENCES environments (project, name)
  ) STRICT;
  CREATE TABLE activations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    number INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    FOREIGN KEY (project, environment) REFERENCES environments (project, name)
  ) STRICT;
  CREATE INDEX activations_of ON activations (project, environment, id);
  CREATE TABLE domains (
    host TEXT NOT NULL PRIMARY KEY,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    created_at TEXT NOT NULL,
    FOREIGN KEY (project, environment) REFERENCES environments (project, name)
  ) STRICT;
  CREATE TABLE variables (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    secret INTEGER NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (project, environment, name),
    FOREIGN KEY (project, environment) REFERENCES environments (project, name)
  ) STRICT;
  `,
  `
  CREATE TABLE purge_sequence (last INTEGER NOT NULL) STRICT;
  INSERT INTO purge_sequence VALUES (0);
  CREATE TABLE purges (
    space TEXT NOT NULL,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    soft INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (space, kind, value, soft)
  ) STRICT;
  CREATE INDEX purges_by_sequence ON purges (sequence);
  CREATE INDEX purges_of_space ON purges (space, sequence);
  `,
  `
  ALTER TABLE environments ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
  `,
];
