-- What people asked a device to collect of itself (docs/protocol.md, collect): one a device, the order and what came of it.
ALTER TABLE devices ADD COLUMN directive_collect TEXT NOT NULL DEFAULT '';  -- of its newest directive

CREATE TABLE support_bundles (
  device      INTEGER PRIMARY KEY REFERENCES devices (n) ON DELETE CASCADE,
  id          TEXT NOT NULL,              -- of the order
  metered     INTEGER NOT NULL,           -- 1: also over a link that costs by the byte
  asked_by    TEXT NOT NULL,
  asked_at    INTEGER NOT NULL,
  received_at INTEGER,                    -- NULL: it is waited for
  made_at     INTEGER,                    -- by the device's clock
  size        INTEGER NOT NULL DEFAULT 0,
  sha256      BLOB,
  content     BLOB
) STRICT;
CREATE INDEX support_bundles_received ON support_bundles (received_at, device, size);
