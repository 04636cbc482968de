-- What a device measured while it was control, before it was told the release or proved anew: gates on metrics compare the change since.
CREATE TABLE rollout_before (
  rollout INTEGER NOT NULL,
  device  INTEGER NOT NULL,
  metric  TEXT NOT NULL,
  summary TEXT NOT NULL,                  -- as rollout_samples.summary
  PRIMARY KEY (rollout, metric, device),
  FOREIGN KEY (rollout, device) REFERENCES rollout_devices (rollout, device) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX rollout_before_of ON rollout_before (rollout, device);
