-- Reports come in tiers, each with a sequence of its own: what is acknowledged of each.
CREATE TABLE device_tiers (
  device INTEGER NOT NULL REFERENCES devices (n) ON DELETE CASCADE,
  tier   TEXT NOT NULL,
  acked  INTEGER NOT NULL,
  PRIMARY KEY (device, tier)
) STRICT, WITHOUT ROWID;
ALTER TABLE devices DROP COLUMN report_sequence;

-- What one device may make grow: a bucket a kind, filled again with time.
CREATE TABLE device_quotas (
  device INTEGER NOT NULL REFERENCES devices (n) ON DELETE CASCADE,
  what   TEXT NOT NULL,
  remaining REAL NOT NULL,              -- how many more, as of `as_of`
  as_of     INTEGER NOT NULL,
  exceeded  INTEGER NOT NULL,           -- how many were over, and nobody was told of yet
  told_at   INTEGER NOT NULL,
  PRIMARY KEY (device, what)
) STRICT, WITHOUT ROWID;

-- Which series and names there are, so that their number has a bound; `seen` is right to a day.
CREATE TABLE telemetry_series (
  metric   TEXT NOT NULL,
  model    TEXT NOT NULL,
  version  TEXT NOT NULL,
  hardware TEXT NOT NULL,
  seen     INTEGER NOT NULL,
  PRIMARY KEY (metric, model, version, hardware)
) STRICT, WITHOUT ROWID;
CREATE INDEX telemetry_series_seen ON telemetry_series (seen);
CREATE TABLE telemetry_metrics (
  model  TEXT NOT NULL,
  metric TEXT NOT NULL,
  seen   INTEGER NOT NULL,
  PRIMARY KEY (model, metric)
) STRICT, WITHOUT ROWID;
CREATE INDEX telemetry_metrics_seen ON telemetry_metrics (seen);
CREATE TABLE telemetry_series_count (many INTEGER NOT NULL) STRICT;
INSERT INTO telemetry_series (metric, model, version, hardware, seen)
  SELECT metric, model, version, hardware, max(start) FROM telemetry GROUP BY metric, model, version, hardware;
INSERT INTO telemetry_metrics (model, metric, seen) SELECT model, metric, max(seen) FROM telemetry_series GROUP BY model, metric;
INSERT INTO telemetry_series_count (many) SELECT count(*) FROM telemetry_series;

-- The oldest intervals go first.
CREATE INDEX telemetry_age ON telemetry (start);
