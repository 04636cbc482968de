-- A series has a number, and is summed up by labels that the operator chose, too (`telemetry_labels` in settings). Intervals grow longer
-- with age: a minute, ten, an hour (docs/adr/0056).
CREATE TABLE metric_names (
  model  TEXT NOT NULL,
  metric TEXT NOT NULL,
  kind   TEXT NOT NULL,                 -- of what came last: c, g, s, ms, h, d; empty: of a time before it was kept
  seen   INTEGER NOT NULL,
  PRIMARY KEY (model, metric)
) STRICT, WITHOUT ROWID;
CREATE INDEX metric_names_seen ON metric_names (seen);

CREATE TABLE metric_series (
  n        INTEGER PRIMARY KEY,
  metric   TEXT NOT NULL,
  model    TEXT NOT NULL,
  version  TEXT NOT NULL,
  hardware TEXT NOT NULL,
  labels   TEXT NOT NULL,               -- JSON, by name: those chosen that the device had
  kept_by  TEXT NOT NULL,               -- the names of its labels, between commas
  seen     INTEGER NOT NULL,
  UNIQUE (metric, model, version, hardware, labels)
) STRICT;
CREATE INDEX metric_series_seen ON metric_series (seen);
CREATE INDEX metric_series_kept_by ON metric_series (kept_by, seen);

CREATE TABLE metric_intervals (
  series INTEGER NOT NULL REFERENCES metric_series (n) ON DELETE CASCADE,
  start  INTEGER NOT NULL,
  count  INTEGER NOT NULL,
  sum    REAL NOT NULL,
  min    REAL NOT NULL,
  max    REAL NOT NULL,
  sketch TEXT NOT NULL,                 -- DDSketch of relative accuracy 1 %: index -> count
  PRIMARY KEY (series, start)
) STRICT, WITHOUT ROWID;
CREATE INDEX metric_intervals_age ON metric_intervals (start, series);

INSERT INTO metric_names (model, metric, kind, seen) SELECT model, metric, '', seen FROM telemetry_metrics;
INSERT INTO metric_series (metric, model, version, hardware, labels, kept_by, seen)
  SELECT metric, model, version, hardware, '{}', '', max(start) FROM telemetry GROUP BY metric, model, version, hardware;
INSERT INTO metric_intervals (series, start, count, sum, min, max, sketch)
  SELECT s.n, t.start, t.count, t.sum, t.min, t.max, t.sketch FROM telemetry t
    JOIN metric_series s ON s.metric = t.metric AND s.model = t.model AND s.version = t.version AND s.hardware = t.hardware;
DELETE FROM telemetry_series_count;
INSERT INTO telemetry_series_count (many) SELECT count(*) FROM metric_series;
DROP TABLE telemetry;
DROP TABLE telemetry_series;
DROP TABLE telemetry_metrics;
