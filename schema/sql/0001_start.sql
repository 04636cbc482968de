-- Times are Unix milliseconds. Digests are 32-byte blobs. JSON columns hold compact JSON text.

CREATE TABLE settings (
  name  TEXT PRIMARY KEY,
  value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- people and CI ---------------------------------------------------------------------------------------------------------------
CREATE TABLE tokens (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  role       TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'publisher', 'approver', 'admin')),
  model      TEXT,
  selector   TEXT,
  hash       BLOB NOT NULL UNIQUE,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
  actor      TEXT NOT NULL,
  key        TEXT NOT NULL,
  request    BLOB NOT NULL,             -- SHA-256 of method, target and body
  status     INTEGER NOT NULL,
  headers    TEXT NOT NULL,
  body       TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (actor, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency (created_at);

-- devices ---------------------------------------------------------------------------------------------------------------------
CREATE TABLE device_tokens (
  id         TEXT PRIMARY KEY,
  hash       BLOB NOT NULL UNIQUE,
  device_id  TEXT,
  hardware   TEXT,
  labels     TEXT NOT NULL DEFAULT '{}',
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at    INTEGER,
  used_by    TEXT,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE devices (
  n                  INTEGER PRIMARY KEY,
  id                 TEXT NOT NULL UNIQUE,
  hardware           TEXT NOT NULL,
  state              TEXT NOT NULL CHECK (state IN ('active', 'revoked', 'retired')),
  labels             TEXT NOT NULL DEFAULT '{}',
  reported           TEXT NOT NULL DEFAULT '{}',
  key_sha256         BLOB NOT NULL UNIQUE,
  not_after          INTEGER NOT NULL,  -- of its newest certificate
  agent              TEXT NOT NULL DEFAULT '',
  directive_sequence INTEGER NOT NULL DEFAULT 0,
  directive_targets  TEXT NOT NULL DEFAULT '[]',
  report_sequence    INTEGER NOT NULL DEFAULT 0,
  boot_id            TEXT NOT NULL DEFAULT '',
  epoch              INTEGER NOT NULL DEFAULT 0,   -- raised by whatever changes what this device should run
  revision           INTEGER NOT NULL DEFAULT 1,   -- raised by every change that an ETag must show
  created_at         INTEGER NOT NULL
) STRICT;
CREATE INDEX devices_hardware ON devices (hardware, n);
CREATE INDEX devices_state ON devices (state, n);

-- Written in coarse batches, apart from `devices`: it changes with every poll.
CREATE TABLE contacts (
  device         INTEGER PRIMARY KEY REFERENCES devices (n) ON DELETE CASCADE,
  seen_at        INTEGER NOT NULL,
  poll_every_s   INTEGER NOT NULL,
  report_every_s INTEGER NOT NULL
) STRICT;
CREATE INDEX contacts_seen ON contacts (seen_at);

CREATE TABLE pending_enrolments (
  device_id  TEXT NOT NULL,
  key_sha256 BLOB NOT NULL,
  csr        TEXT NOT NULL,
  hardware   TEXT NOT NULL,
  labels     TEXT NOT NULL,
  reported   TEXT NOT NULL,
  token_id   TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (device_id, key_sha256)
) STRICT, WITHOUT ROWID;

-- What each device does with each model: the last it told.
CREATE TABLE device_models (
  device         INTEGER NOT NULL REFERENCES devices (n) ON DELETE CASCADE,
  model          TEXT NOT NULL,
  running        TEXT,                   -- version that `current` points at; NULL: none or unknown
  running_digest BLOB,
  version        TEXT,                   -- release that the update machine works on
  state          TEXT NOT NULL DEFAULT 'idle',
  rollout        TEXT,
  attempt        INTEGER NOT NULL DEFAULT 0,
  waiting        TEXT,
  since          INTEGER NOT NULL,
  error          TEXT,
  PRIMARY KEY (device, model)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_models_running ON device_models (model, running, device);

CREATE TABLE device_history (
  id      INTEGER PRIMARY KEY,
  device  INTEGER NOT NULL REFERENCES devices (n) ON DELETE CASCADE,
  time    INTEGER NOT NULL,             -- the device's clock
  received INTEGER NOT NULL,
  model   TEXT NOT NULL,
  version TEXT NOT NULL,
  state   TEXT NOT NULL,
  rollout TEXT,
  attempt INTEGER NOT NULL,
  error   TEXT
) STRICT;
CREATE INDEX device_history_of ON device_history (device, id);

-- catalog ---------------------------------------------------------------------------------------------------------------------
CREATE TABLE models (
  name               TEXT PRIMARY KEY,
  approvals_required INTEGER NOT NULL DEFAULT 0,
  aliases            TEXT NOT NULL DEFAULT '{}',
  release_counter    INTEGER NOT NULL DEFAULT 0,
  revision           INTEGER NOT NULL DEFAULT 1,
  created_at         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE releases (
  n          INTEGER PRIMARY KEY,
  model      TEXT NOT NULL REFERENCES models (name),
  version    TEXT NOT NULL,
  digest     BLOB NOT NULL UNIQUE,      -- of `document`
  document   TEXT NOT NULL,             -- release.json as signed
  request    BLOB NOT NULL,             -- SHA-256 of what was asked to be published: the same again is no conflict
  state      TEXT NOT NULL CHECK (state IN ('draft', 'approved', 'revoked')),
  metrics    TEXT NOT NULL DEFAULT '{}',
  datasets   TEXT NOT NULL DEFAULT '[]',
  inspection TEXT NOT NULL DEFAULT '{}',
  commit_id  TEXT,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  revision   INTEGER NOT NULL DEFAULT 1,
  UNIQUE (model, version)
) STRICT;

CREATE TABLE release_parents (
  release  INTEGER NOT NULL REFERENCES releases (n),
  parent   INTEGER NOT NULL REFERENCES releases (n),
  relation TEXT NOT NULL CHECK (relation IN ('finetune', 'quantized', 'adapter', 'merge', 'distilled', 'converted')),
  PRIMARY KEY (release, parent, relation)
) STRICT, WITHOUT ROWID;
CREATE INDEX release_children ON release_parents (parent, release);

CREATE TABLE release_approvals (
  release     INTEGER NOT NULL REFERENCES releases (n),
  actor       TEXT NOT NULL,
  reason      TEXT NOT NULL,
  approved_at INTEGER NOT NULL,
  PRIMARY KEY (release, actor)
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
  sha256     BLOB PRIMARY KEY,
  size       INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE uploads (
  id         TEXT PRIMARY KEY,
  sha256     BLOB NOT NULL,
  size       INTEGER NOT NULL,
  received   INTEGER NOT NULL DEFAULT 0,
  state      TEXT NOT NULL CHECK (state IN ('open', 'done')),
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Signed metadata, every version of it. repository: 'release' or 'directive'.
CREATE TABLE metadata (
  repository TEXT NOT NULL CHECK (repository IN ('release', 'directive')),
  role       TEXT NOT NULL,
  version    INTEGER NOT NULL,
  bytes      BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (repository, role, version)
) STRICT, WITHOUT ROWID;

-- rollouts --------------------------------------------------------------------------------------------------------------------
CREATE TABLE rollouts (
  n             INTEGER PRIMARY KEY,
  id            TEXT NOT NULL UNIQUE,
  model         TEXT NOT NULL REFERENCES models (name),
  release       INTEGER NOT NULL REFERENCES releases (n),
  version       TEXT NOT NULL,
  selector      TEXT NOT NULL,
  policy        TEXT NOT NULL,
  salt          TEXT NOT NULL,
  state         TEXT NOT NULL CHECK (state IN ('draft', 'awaiting_approval', 'running', 'paused', 'completed', 'rolling_back', 'rolled_back', 'aborted')),
  stage         INTEGER NOT NULL DEFAULT 0,     -- 0: not started; counted from 1
  stage_state   TEXT NOT NULL DEFAULT 'dispatching' CHECK (stage_state IN ('dispatching', 'baking')),
  stage_since   INTEGER,
  bake_since    INTEGER,
  deadline      INTEGER,
  widened_full  INTEGER NOT NULL DEFAULT 0,     -- promote --full: evidence and bake of the rest are skipped
  attempt       INTEGER NOT NULL DEFAULT 1,
  after_n       INTEGER REFERENCES rollouts (n),
  supersedes_n  INTEGER REFERENCES rollouts (n),
  started_at    INTEGER,
  completed_at  INTEGER,
  verdict       TEXT NOT NULL DEFAULT '{}',
  latched       TEXT NOT NULL DEFAULT '{}',     -- gates whose harm verdict is latched
  reason        TEXT NOT NULL DEFAULT '',
  created_by    TEXT NOT NULL,
  created_at    INTEGER NOT NULL,
  revision      INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX rollouts_of_model ON rollouts (model, state, n);

-- Membership: a device of the stratum is in a stage when u < threshold. u and threshold are unsigned 63-bit.
CREATE TABLE rollout_strata (
  rollout   INTEGER NOT NULL REFERENCES rollouts (n),
  stage     INTEGER NOT NULL,
  stratum   TEXT NOT NULL,
  threshold INTEGER NOT NULL,
  devices   INTEGER NOT NULL,           -- cumulative, as planned
  PRIMARY KEY (rollout, stage, stratum)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollout_approvals (
  rollout     INTEGER NOT NULL REFERENCES rollouts (n),
  stage       INTEGER NOT NULL,
  actor       TEXT NOT NULL,
  reason      TEXT NOT NULL,
  approved_at INTEGER NOT NULL,
  PRIMARY KEY (rollout, stage, actor)
) STRICT, WITHOUT ROWID;

-- One row for each device that was told of the rollout; none for those that were not.
CREATE TABLE rollout_devices (
  rollout       INTEGER NOT NULL REFERENCES rollouts (n),
  device        INTEGER NOT NULL REFERENCES devices (n) ON DELETE CASCADE,
  stage         INTEGER NOT NULL,
  stratum       TEXT NOT NULL,
  state         TEXT NOT NULL,          -- dispatched, downloading, waiting, testing, probation, healthy, failed, silent, ineligible, dropped, reverting, reverted
  exposed       INTEGER NOT NULL DEFAULT 0,   -- switched at least once
  from_version  TEXT,                   -- what it ran before; NULL: nothing
  from_digest   BLOB,
  attempt       INTEGER NOT NULL,
  dispatched_at INTEGER NOT NULL,
  since         INTEGER NOT NULL,
  silent_at     INTEGER NOT NULL,       -- counted silent when nothing is heard until then
  eligible      INTEGER NOT NULL,       -- online at dispatch
  error         TEXT,
  PRIMARY KEY (rollout, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX rollout_devices_state ON rollout_devices (rollout, state, exposed);
CREATE INDEX rollout_devices_of ON rollout_devices (device, rollout);

-- Sums of a metric on a device since it switched to the rollout's release: what absolute gates judge.
CREATE TABLE rollout_samples (
  rollout INTEGER NOT NULL,
  device  INTEGER NOT NULL,
  metric  TEXT NOT NULL,
  count   INTEGER NOT NULL,
  sum     REAL NOT NULL,
  PRIMARY KEY (rollout, metric, device),
  FOREIGN KEY (rollout, device) REFERENCES rollout_devices (rollout, device) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- telemetry: counters and sketches per release x hardware x interval ----------------------------------------------------------
CREATE TABLE telemetry (
  model    TEXT NOT NULL,
  version  TEXT NOT NULL,
  hardware TEXT NOT NULL,
  metric   TEXT NOT NULL,
  start    INTEGER NOT NULL,            -- of the interval, one minute
  count    INTEGER NOT NULL,
  sum      REAL NOT NULL,
  min      REAL NOT NULL,
  max      REAL NOT NULL,
  sketch   TEXT NOT NULL DEFAULT '{}',  -- DDSketch of relative accuracy 1 %: index -> count
  PRIMARY KEY (metric, model, version, hardware, start)
) STRICT, WITHOUT ROWID;

-- what happened ---------------------------------------------------------------------------------------------------------------
CREATE TABLE events (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  time    INTEGER NOT NULL,
  type    TEXT NOT NULL,
  subject TEXT NOT NULL,
  actor   TEXT NOT NULL,
  data    TEXT NOT NULL
) STRICT;

CREATE TABLE audit (
  seq        INTEGER PRIMARY KEY,
  time       INTEGER NOT NULL,
  actor      TEXT NOT NULL,
  action     TEXT NOT NULL,
  subject    TEXT NOT NULL,
  before     TEXT,
  after      TEXT,
  reason     TEXT NOT NULL,
  request_id TEXT NOT NULL,
  prev       BLOB NOT NULL,
  hash       BLOB NOT NULL
) STRICT;
