-- Ways of a file of a release to a device, other than as it is (docs/adr/0036): recipes, made in the background for files that devices will want, from files that
-- they run. What they are made of lies in DIR/content and can be made again.
CREATE TABLE content_recipes (
  n            INTEGER PRIMARY KEY,
  target       BLOB NOT NULL,           -- SHA-256 of the file that it makes
  base         BLOB NOT NULL,           -- of the file that it starts from; zeros: none is needed
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
  UNIQUE (target, base)
) STRICT;
CREATE INDEX content_recipes_waiting ON content_recipes (urgent DESC, devices DESC, n) WHERE state = 'waiting';
CREATE INDEX content_recipes_wanted ON content_recipes (wanted_at);

-- Recipes and wire objects by their digests, and which recipes need them.
CREATE TABLE content_objects (
  sha256 BLOB NOT NULL,
  recipe INTEGER NOT NULL REFERENCES content_recipes (n) ON DELETE CASCADE,
  size   INTEGER NOT NULL,
  PRIMARY KEY (sha256, recipe)
) STRICT, WITHOUT ROWID;
CREATE INDEX content_objects_of ON content_objects (recipe);

-- Bytes that a download would still take while it waits; 0: not known.
ALTER TABLE device_models ADD COLUMN to_fetch INTEGER NOT NULL DEFAULT 0;
