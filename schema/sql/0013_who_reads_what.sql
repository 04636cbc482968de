-- Which releases have a file, and for which hardware: who may read its bytes, and what else holds them.
CREATE TABLE release_files (
  sha256  BLOB NOT NULL,
  release INTEGER NOT NULL REFERENCES releases (n),
  variant INTEGER NOT NULL,             -- counted from 0, as the document has them
  PRIMARY KEY (sha256, release, variant)
) STRICT, WITHOUT ROWID;
CREATE TABLE release_hardware (
  release  INTEGER NOT NULL REFERENCES releases (n),
  hardware TEXT NOT NULL,
  variant  INTEGER NOT NULL,
  PRIMARY KEY (release, hardware, variant)
) STRICT, WITHOUT ROWID;
-- Releases that directives named to a device, ever.
CREATE TABLE named_releases (
  device  INTEGER NOT NULL REFERENCES devices (n) ON DELETE CASCADE,
  release INTEGER NOT NULL REFERENCES releases (n),
  PRIMARY KEY (device, release)
) STRICT, WITHOUT ROWID;

-- What was published and told before this.
INSERT INTO release_files (sha256, release, variant)
  WITH known(sha256, hex) AS MATERIALIZED (SELECT sha256, lower(hex(sha256)) FROM blobs)
  SELECT DISTINCT known.sha256, r.n, v.key FROM releases r, json_each(r.document, '$.variants') v, json_each(v.value, '$.files') f
    JOIN known ON known.hex = f.value ->> 'sha256';
INSERT INTO release_hardware (release, hardware, variant)
  SELECT DISTINCT r.n, h.value, v.key FROM releases r, json_each(r.document, '$.variants') v, json_each(v.value, '$.hardware') h;
INSERT INTO named_releases (device, release) SELECT DISTINCT d.device, r.release FROM rollout_devices d JOIN rollouts r ON r.n = d.rollout;

-- What a device token's maker was limited to: it lets in nothing beyond. NULL: nothing.
ALTER TABLE device_tokens ADD COLUMN within TEXT;
-- JSON: the models whose objects a cache reads, none: all. NULL: a device.
ALTER TABLE device_tokens ADD COLUMN cache TEXT;
ALTER TABLE devices ADD COLUMN cache TEXT;
