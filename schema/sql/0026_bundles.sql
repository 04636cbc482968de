-- Orders that travel by file (docs/adr/0039). A bundle takes sequences above the device's newest directive, so that what is told over the network later
-- stands above them.
ALTER TABLE devices ADD COLUMN reserved_sequence INTEGER NOT NULL DEFAULT 0;

CREATE TABLE bundles (
  id         TEXT PRIMARY KEY,
  release    INTEGER NOT NULL REFERENCES releases (n),
  selector   TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,            -- what its directives say of when they were issued
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX bundles_expire ON bundles (expires_at);

-- What a bundle says to each device: gone once the bundle has expired.
CREATE TABLE bundle_orders (
  bundle   TEXT NOT NULL REFERENCES bundles (id),
  device   INTEGER NOT NULL REFERENCES devices (n) ON DELETE CASCADE,
  sequence INTEGER NOT NULL,
  targets  TEXT NOT NULL,                 -- of the whole directive
  PRIMARY KEY (bundle, device)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX bundle_orders_of ON bundle_orders (device, sequence);

-- What a device was brought by a bundle and told us of: it stands like a completed rollout of this device alone.
CREATE TABLE bundle_holds (
  device INTEGER NOT NULL REFERENCES devices (n) ON DELETE CASCADE,
  model  TEXT NOT NULL,
  bundle TEXT NOT NULL REFERENCES bundles (id),
  target TEXT NOT NULL,
  PRIMARY KEY (device, model)
) STRICT, WITHOUT ROWID;
CREATE INDEX bundle_holds_of ON bundle_holds (bundle, model);
