-- Stores of blobs that several processes write (docs/adr/0057). What the name of a blob's bytes ends in; empty: in DIR/blobs, by digest alone.
ALTER TABLE blobs ADD COLUMN generation TEXT NOT NULL DEFAULT '';
-- What lies in such a store, or may, while no row of blobs names it: noted before it is brought, forgotten when a row names it, or once it is gone.
CREATE TABLE blob_leftovers (
  sha256     BLOB NOT NULL,
  generation TEXT NOT NULL,
  size       INTEGER NOT NULL,
  noted_at   INTEGER NOT NULL,
  doomed     INTEGER NOT NULL DEFAULT 0,  -- it is being removed: no row may name it any more
  PRIMARY KEY (sha256, generation)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_leftovers_by_time ON blob_leftovers (doomed, noted_at);
