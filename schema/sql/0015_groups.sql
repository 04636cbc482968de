-- Names for devices: a selector, or a list of ids, which may be of devices that do not exist yet.
CREATE TABLE device_groups (
  name       TEXT PRIMARY KEY,
  selector   TEXT,                        -- NULL: a list
  list       INTEGER,                     -- NULL: a selector
  devices    INTEGER NOT NULL DEFAULT 0,  -- ids in the list
  digest     BLOB,                        -- of the list: SHA-256 of its ids, sorted, a line each
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  revision   INTEGER NOT NULL DEFAULT 1,
  CHECK ((selector IS NULL) <> (list IS NULL))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX device_groups_list ON device_groups (list) WHERE list IS NOT NULL;

-- Lists are written in pieces and never change: a group is moved to the whole new one at once. A list that no group has is being written, or is forgotten
-- in pieces.
CREATE TABLE device_lists (
  list    INTEGER PRIMARY KEY,
  made_at INTEGER NOT NULL
) STRICT;
CREATE TABLE device_list_ids (
  list   INTEGER NOT NULL,
  device TEXT NOT NULL,
  PRIMARY KEY (list, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_list_ids_of ON device_list_ids (device, list);
