-- Several servers on one PostgreSQL (docs/adr/0061): who they are, whose turn it is to write, what they tell each other, and who leads. A fleet in a file has one
-- server, and uses none of it.
CREATE TABLE nodes (
  id        TEXT NOT NULL PRIMARY KEY,
  host      TEXT NOT NULL,              -- its machine's name, for people
  version   TEXT NOT NULL,              -- of its program
  api       TEXT NOT NULL,              -- URLs of its listeners
  devices   TEXT NOT NULL,
  joined_at INTEGER NOT NULL,
  seen_at   INTEGER NOT NULL,           -- by its own clock, for people: who decides counts beats
  beat      INTEGER NOT NULL,           -- one more each second, while it runs
  promised  INTEGER NOT NULL,           -- contacts that devices promised it for the last minute, and that came
  came      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE turns (
  one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
  n   INTEGER NOT NULL                  -- of the last transaction that wrote
) STRICT, WITHOUT ROWID;
INSERT INTO turns (one, n) VALUES (1, 0);

CREATE TABLE told (
  turn    INTEGER NOT NULL PRIMARY KEY,
  node    TEXT NOT NULL,
  changes TEXT NOT NULL                 -- a line each: what, and which
) STRICT, WITHOUT ROWID;

CREATE TABLE leases (
  name    TEXT NOT NULL PRIMARY KEY,
  fence   INTEGER NOT NULL,             -- one more with each holder
  holder  TEXT NOT NULL,                -- a node; empty: it was given back
  beat    INTEGER NOT NULL,
  service INTEGER NOT NULL              -- time of service, in ms, as the holder had it
) STRICT, WITHOUT ROWID;
INSERT INTO leases (name, fence, holder, beat, service) VALUES ('lead', 0, '', 0, 0);

CREATE TABLE node_keys (
  role   TEXT NOT NULL PRIMARY KEY,
  sealed BLOB NOT NULL                  -- under the nodes' own secret: the key, or nothing where it is kept elsewhere
) STRICT, WITHOUT ROWID;

-- Requests with an Idempotency-Key that a worker of a node is at: a repeat at another node is told to wait.
CREATE TABLE uses_under_way (
  actor TEXT NOT NULL,
  key   TEXT NOT NULL,
  node  TEXT NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (actor, key)
) STRICT, WITHOUT ROWID;

ALTER TABLE contacts ADD COLUMN node TEXT NOT NULL DEFAULT '';         -- that heard it last
ALTER TABLE contacts ADD COLUMN heard_s INTEGER NOT NULL DEFAULT 0;    -- then, by the time of service, in ms
ALTER TABLE contacts ADD COLUMN moved_s INTEGER NOT NULL DEFAULT 0;    -- when another node heard it last than the one before
