-- Blobs that nothing named any more, by when their rows went: their bytes go a day later, so that a backup that had begun finds them.
CREATE TABLE blob_removals (
  sha256     BLOB PRIMARY KEY,
  size       INTEGER NOT NULL,
  removed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_removals_by_time ON blob_removals (removed_at);
-- What was given back since then: `blobs` and `bytes`.
CREATE TABLE blob_totals (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
