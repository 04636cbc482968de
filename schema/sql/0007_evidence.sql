-- Who may speak for a model's releases, and what must have been said (core/trust/evidence.hpp): JSON.
ALTER TABLE models ADD COLUMN evidence TEXT NOT NULL DEFAULT '{}';
-- What was said, in the bytes that were received and judged.
CREATE TABLE attestations (
  release        INTEGER NOT NULL REFERENCES releases (n),
  position       INTEGER NOT NULL,
  kind           TEXT NOT NULL,     -- provenance | test-result | file-manifest | bom
  predicate_type TEXT NOT NULL,
  signers        TEXT NOT NULL,     -- JSON: names of the model's signers who signed it
  sha256         BLOB NOT NULL,     -- of envelope
  envelope       BLOB NOT NULL,     -- DSSE
  PRIMARY KEY (release, position)
) STRICT, WITHOUT ROWID;
