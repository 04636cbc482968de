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
