-- Files of a protected model's releases travel encrypted, with a data key for each release (docs/adr/0050).
ALTER TABLE models ADD COLUMN protected TEXT NOT NULL DEFAULT '' CHECK (protected IN ('', 'disk', 'memory'));
-- As its release.json says.
ALTER TABLE releases ADD COLUMN protected TEXT NOT NULL DEFAULT '';
-- What data keys are encrypted to for a device: SubjectPublicKeyInfo, of P-256 or X25519; NULL: it takes none.
ALTER TABLE devices ADD COLUMN wrap_key BLOB;
ALTER TABLE pending_enrolments ADD COLUMN wrap_key BLOB;

-- A recipe is for everybody, or encrypted for one release: the same file may have both. What they name lies in DIR/content and is made again.
DROP TABLE content_objects;
DROP TABLE content_recipes;
CREATE TABLE content_recipes (
  n            INTEGER PRIMARY KEY,
  target       BLOB NOT NULL,           -- SHA-256 of the file that it makes
  base         BLOB NOT NULL,           -- of the file that it starts from; zeros: none is needed
  sealed       INTEGER NOT NULL,        -- the release with whose key it is encrypted; 0: with none
  release      INTEGER NOT NULL REFERENCES releases (n),   -- one that has the target, and its variant: what the file's name and neighbours are
  variant      INTEGER NOT NULL,
  base_release INTEGER REFERENCES releases (n),            -- the same of the base; NULL: none
  base_variant INTEGER,
  state        TEXT NOT NULL CHECK (state IN ('waiting', 'ready', 'refused', 'failed')),
  kind         TEXT,                    -- once it is ready: compressed, tensor_delta, binary_delta
  recipe       BLOB,                    -- SHA-256 of the recipe
  recipe_bytes INTEGER NOT NULL DEFAULT 0,
  wire_bytes   INTEGER NOT NULL DEFAULT 0,  -- of what it refers to
  memory       INTEGER NOT NULL DEFAULT 0,  -- that a device takes to follow it
  why          TEXT,                    -- refused: as many bytes as it saves too few of; failed: the error
  devices      INTEGER NOT NULL,        -- that ran the base when it was last asked for
  urgent       INTEGER NOT NULL,        -- 1: a rollout is to bring it
  wanted_at    INTEGER NOT NULL,        -- when it was last asked for
  done_at      INTEGER,
  UNIQUE (target, base, sealed)
) STRICT;
CREATE INDEX content_recipes_waiting ON content_recipes (urgent DESC, devices DESC, n) WHERE state = 'waiting';
CREATE INDEX content_recipes_wanted ON content_recipes (wanted_at);
CREATE INDEX content_recipes_sealed ON content_recipes (sealed) WHERE sealed <> 0;

-- Recipes and wire objects by their digests, and which recipes need them.
CREATE TABLE content_objects (
  sha256 BLOB NOT NULL,
  recipe INTEGER NOT NULL REFERENCES content_recipes (n) ON DELETE CASCADE,
  size   INTEGER NOT NULL,
  PRIMARY KEY (sha256, recipe)
) STRICT, WITHOUT ROWID;
CREATE INDEX content_objects_of ON content_objects (recipe);
