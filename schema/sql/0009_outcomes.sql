-- What a device's attempt came to, whatever followed it: one that failed and came back is failed and reverted. And rows outlive their device, so that
-- no outcome is forgotten with it.
CREATE TABLE rollout_devices_kept (
  rollout       INTEGER NOT NULL REFERENCES rollouts (n),
  device        INTEGER NOT NULL,       -- of `devices`, or of one that was deleted: no number is given twice
  stage         INTEGER NOT NULL,
  stratum       TEXT NOT NULL,
  state         TEXT NOT NULL,          -- dispatched, downloading, waiting, testing, probation, healthy, failed, silent, ineligible, dropped, left, reverting, reverted
  outcome       TEXT,                   -- healthy, failed, silent or ineligible; NULL: none yet
  exposed       INTEGER NOT NULL DEFAULT 0,   -- switched at least once
  from_version  TEXT,                   -- what it ran before; NULL: nothing
  from_digest   BLOB,
  attempt       INTEGER NOT NULL,
  dispatched_at INTEGER NOT NULL,
  since         INTEGER NOT NULL,
  silent_at     INTEGER NOT NULL,       -- counted silent when nothing is heard until then
  eligible      INTEGER NOT NULL,       -- online at dispatch
  error         TEXT,
  gone          TEXT,                   -- id of the device, once it was deleted
  PRIMARY KEY (rollout, device)
) STRICT, WITHOUT ROWID;
INSERT INTO rollout_devices_kept (rollout, device, stage, stratum, state, outcome, exposed, from_version, from_digest, attempt, dispatched_at, since, silent_at, eligible, error)
  SELECT rollout, device, stage, stratum, state, CASE WHEN state IN ('healthy', 'failed', 'silent', 'ineligible') THEN state END, exposed, from_version, from_digest, attempt,
         dispatched_at, since, silent_at, eligible, error FROM rollout_devices;
CREATE TABLE rollout_samples_kept (
  rollout INTEGER NOT NULL,
  device  INTEGER NOT NULL,
  metric  TEXT NOT NULL,
  count   INTEGER NOT NULL,
  sum     REAL NOT NULL,
  PRIMARY KEY (rollout, metric, device),
  FOREIGN KEY (rollout, device) REFERENCES rollout_devices_kept (rollout, device) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO rollout_samples_kept SELECT rollout, device, metric, count, sum FROM rollout_samples;
DROP TABLE rollout_samples;
DROP TABLE rollout_devices;
ALTER TABLE rollout_devices_kept RENAME TO rollout_devices;
ALTER TABLE rollout_samples_kept RENAME TO rollout_samples;
CREATE INDEX rollout_devices_state ON rollout_devices (rollout, state, outcome, exposed);
CREATE INDEX rollout_devices_of ON rollout_devices (device, rollout);
