-- Samples that were flagged are counted beside those that count; what each device measured last is a row of it (docs/adr/0059).
ALTER TABLE metric_intervals ADD COLUMN flagged INTEGER NOT NULL DEFAULT 0;

CREATE TABLE device_latest (
  device   INTEGER PRIMARY KEY REFERENCES devices (n) ON DELETE CASCADE,
  at       INTEGER NOT NULL,             -- when it told last
  metrics  TEXT NOT NULL,                -- JSON: each metric's last value, at most 64
  flagged  INTEGER NOT NULL,             -- why samples of it are flagged, a bit each: stuck, out of range, missing, clock skewed
  skew     INTEGER NOT NULL,             -- ms that its clock is ahead; 0: within what is taken for right
  told_off INTEGER NOT NULL,             -- whether people were told that its clock is off
  told     INTEGER NOT NULL              -- and when
) STRICT;
CREATE INDEX device_latest_flagged ON device_latest (flagged) WHERE flagged > 0;
