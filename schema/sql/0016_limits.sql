-- Places of `limits.per`: a device that was told holds one of its label's value until its own word, its silence or its leaving frees it
-- (server/rollout/shell/places). They belong to devices, not to rollouts: what counts is who may switch now, whoever told it.
CREATE TABLE rollout_places (
  device  INTEGER NOT NULL REFERENCES devices (n) ON DELETE CASCADE,
  model   TEXT NOT NULL,
  rollout INTEGER NOT NULL REFERENCES rollouts (n),
  attempt INTEGER NOT NULL,
  label   TEXT NOT NULL,
  value   TEXT NOT NULL,
  left_s  INTEGER NOT NULL,               -- service time from which nobody waits for it, whatever it says
  look_s  INTEGER NOT NULL,               -- service time at which somebody looks whether it is silent
  PRIMARY KEY (device, model)
) STRICT, WITHOUT ROWID;
CREATE INDEX rollout_places_of ON rollout_places (label, value, device);
CREATE INDEX rollout_places_look ON rollout_places (look_s);

-- A device that failed and tries again: its outcome, window and kind stay those of the first attempt.
ALTER TABLE rollout_devices ADD COLUMN tries INTEGER NOT NULL DEFAULT 1;        -- attempts of this row; a staged retry begins anew
ALTER TABLE rollout_devices ADD COLUMN again_s INTEGER;                         -- service time of the next; 0: a person asked for it; NULL: none

-- How often the fleet changed: what a ladder was planned over is old where this has moved on since.
CREATE TABLE fleet_changes (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  n   INTEGER NOT NULL
) STRICT;
INSERT INTO fleet_changes (one, n) VALUES (1, 1);
CREATE TRIGGER fleet_changes_come AFTER INSERT ON devices BEGIN
  UPDATE fleet_changes SET n = n + 1;
END;
CREATE TRIGGER fleet_changes_go AFTER DELETE ON devices BEGIN
  UPDATE fleet_changes SET n = n + 1;
END;
CREATE TRIGGER fleet_changes_move AFTER UPDATE OF hardware, state, labels ON devices
  WHEN old.hardware <> new.hardware OR old.state <> new.state OR old.labels <> new.labels BEGIN
  UPDATE fleet_changes SET n = n + 1;
END;
-- Whom a selector's `group=` means changes with the group, while no device does.
CREATE TRIGGER fleet_changes_group_moves AFTER UPDATE OF selector, list ON device_groups
  WHEN old.selector IS DISTINCT FROM new.selector OR old.digest IS DISTINCT FROM new.digest BEGIN
  UPDATE fleet_changes SET n = n + 1;
END;
CREATE TRIGGER fleet_changes_group_goes AFTER DELETE ON device_groups BEGIN
  UPDATE fleet_changes SET n = n + 1;
END;
ALTER TABLE rollout_ladders ADD COLUMN fleet INTEGER NOT NULL DEFAULT 0;        -- fleet_changes, as it was read before the fleet was
ALTER TABLE rollouts ADD COLUMN preset TEXT NOT NULL DEFAULT '';                -- that the policy came from
