-- Members of a set's release, as they stand in its document (server/catalog/sets.hpp).
CREATE TABLE release_members (
  release  INTEGER NOT NULL REFERENCES releases (n),
  position INTEGER NOT NULL,
  member   INTEGER NOT NULL REFERENCES releases (n),
  model    TEXT NOT NULL,                 -- of the member
  comes_after TEXT NOT NULL,              -- JSON: models
  PRIMARY KEY (release, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX release_members_of ON release_members (member, release);
CREATE INDEX release_members_model ON release_members (model, release);
-- Releases of a model are of one kind for ever.
ALTER TABLE models ADD COLUMN kind TEXT NOT NULL DEFAULT '';   -- '': it has no release yet; model, set
UPDATE models SET kind = 'model' WHERE release_counter > 0;
