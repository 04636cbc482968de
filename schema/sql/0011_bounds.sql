-- What a verb, a list or a deletion asks must not grow with the fleet.

-- Deletions walk these: a device takes its samples along, a certificate's key is looked up among those that wait.
CREATE INDEX rollout_samples_of ON rollout_samples (rollout, device);
CREATE INDEX pending_enrolments_key ON pending_enrolments (key_sha256);
CREATE INDEX pending_enrolments_age ON pending_enrolments (created_at);
CREATE INDEX uploads_touched ON uploads (touched_at);
CREATE INDEX uploads_by ON uploads (created_by, state);
CREATE INDEX uploads_content ON uploads (sha256);
CREATE INDEX tokens_named ON tokens (name);
CREATE INDEX device_tokens_expiry ON device_tokens (expires_at);

-- Counts are kept as rows change, not counted when somebody asks.
CREATE TABLE rollout_counts (
  rollout INTEGER NOT NULL,
  stratum TEXT NOT NULL,
  state   TEXT NOT NULL,
  outcome TEXT NOT NULL,                -- '': none yet
  exposed INTEGER NOT NULL,
  devices INTEGER NOT NULL,
  PRIMARY KEY (rollout, stratum, state, outcome, exposed)
) STRICT, WITHOUT ROWID;
INSERT INTO rollout_counts SELECT rollout, stratum, state, coalesce(outcome, ''), exposed, count(*) FROM rollout_devices GROUP BY 1, 2, 3, 4, 5;
CREATE TRIGGER rollout_devices_come AFTER INSERT ON rollout_devices BEGIN
  INSERT INTO rollout_counts (rollout, stratum, state, outcome, exposed, devices) VALUES (new.rollout, new.stratum, new.state, coalesce(new.outcome, ''), new.exposed, 1)
    ON CONFLICT (rollout, stratum, state, outcome, exposed) DO UPDATE SET devices = devices + 1;
END;
CREATE TRIGGER rollout_devices_go AFTER DELETE ON rollout_devices BEGIN
  UPDATE rollout_counts SET devices = devices - 1
    WHERE rollout = old.rollout AND stratum = old.stratum AND state = old.state AND outcome = coalesce(old.outcome, '') AND exposed = old.exposed;
END;
CREATE TRIGGER rollout_devices_move AFTER UPDATE OF stratum, state, outcome, exposed ON rollout_devices
  WHEN old.stratum <> new.stratum OR old.state <> new.state OR old.outcome IS NOT new.outcome OR old.exposed <> new.exposed BEGIN
  UPDATE rollout_counts SET devices = devices - 1
    WHERE rollout = old.rollout AND stratum = old.stratum AND state = old.state AND outcome = coalesce(old.outcome, '') AND exposed = old.exposed;
  INSERT INTO rollout_counts (rollout, stratum, state, outcome, exposed, devices) VALUES (new.rollout, new.stratum, new.state, coalesce(new.outcome, ''), new.exposed, 1)
    ON CONFLICT (rollout, stratum, state, outcome, exposed) DO UPDATE SET devices = devices + 1;
END;

CREATE TABLE device_counts (
  state   TEXT PRIMARY KEY,
  devices INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO device_counts SELECT state, count(*) FROM devices GROUP BY state;
CREATE TRIGGER devices_come AFTER INSERT ON devices BEGIN
  INSERT INTO device_counts (state, devices) VALUES (new.state, 1) ON CONFLICT (state) DO UPDATE SET devices = devices + 1;
END;
CREATE TRIGGER devices_go AFTER DELETE ON devices BEGIN
  UPDATE device_counts SET devices = devices - 1 WHERE state = old.state;
END;
CREATE TRIGGER devices_move AFTER UPDATE OF state ON devices WHEN old.state <> new.state BEGIN
  UPDATE device_counts SET devices = devices - 1 WHERE state = old.state;
  INSERT INTO device_counts (state, devices) VALUES (new.state, 1) ON CONFLICT (state) DO UPDATE SET devices = devices + 1;
END;

CREATE TABLE running_counts (
  model   TEXT NOT NULL,
  version TEXT NOT NULL,
  devices INTEGER NOT NULL,
  PRIMARY KEY (model, version)
) STRICT, WITHOUT ROWID;
INSERT INTO running_counts SELECT model, running, count(*) FROM device_models WHERE running IS NOT NULL GROUP BY model, running;
CREATE TRIGGER device_models_come AFTER INSERT ON device_models WHEN new.running IS NOT NULL BEGIN
  INSERT INTO running_counts (model, version, devices) VALUES (new.model, new.running, 1) ON CONFLICT (model, version) DO UPDATE SET devices = devices + 1;
END;
CREATE TRIGGER device_models_go AFTER DELETE ON device_models WHEN old.running IS NOT NULL BEGIN
  UPDATE running_counts SET devices = devices - 1 WHERE model = old.model AND version = old.running;
END;
CREATE TRIGGER device_models_left AFTER UPDATE OF running ON device_models WHEN old.running IS NOT new.running AND old.running IS NOT NULL BEGIN
  UPDATE running_counts SET devices = devices - 1 WHERE model = old.model AND version = old.running;
END;
CREATE TRIGGER device_models_taken AFTER UPDATE OF running ON device_models WHEN old.running IS NOT new.running AND new.running IS NOT NULL BEGIN
  INSERT INTO running_counts (model, version, devices) VALUES (new.model, new.running, 1) ON CONFLICT (model, version) DO UPDATE SET devices = devices + 1;
END;

-- A rollout that was stopped or taken back: its devices' rows up to this one say so, the others follow in pieces. NULL: all do.
ALTER TABLE rollouts ADD COLUMN settled_to INTEGER;
CREATE INDEX rollouts_unsettled ON rollouts (n) WHERE settled_to IS NOT NULL;
