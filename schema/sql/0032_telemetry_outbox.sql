-- What devices measured, on its way to a sink beside the database (docs/adr/0058): a row for each sum of a report, in the transaction of the report.
CREATE TABLE telemetry_outbox (
  n      INTEGER PRIMARY KEY,
  series INTEGER NOT NULL,              -- of metric_series, which keeps those that wait here
  start  INTEGER NOT NULL,
  count  INTEGER NOT NULL,
  sum    REAL NOT NULL,
  min    REAL NOT NULL,
  max    REAL NOT NULL,
  sketch TEXT NOT NULL,
  at     INTEGER NOT NULL               -- when the report came
) STRICT;
CREATE INDEX telemetry_outbox_series ON telemetry_outbox (series);

-- The rows that are being sent: all up to `until`, as one batch. Who sends them again does so under the same number, and they count once.
CREATE TABLE telemetry_batch (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  flush INTEGER NOT NULL,
  until INTEGER NOT NULL
) STRICT;
