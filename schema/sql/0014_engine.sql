-- The engine's state: windows, what they have shown, and the ladder of sizes that a rollout can have (server/rollout/engine).
ALTER TABLE rollouts ADD COLUMN progress TEXT NOT NULL DEFAULT '{}';
CREATE INDEX rollouts_live ON rollouts (n) WHERE state IN ('awaiting_approval', 'running', 'paused', 'rolling_back');
CREATE TABLE rollout_ladders (
  rollout INTEGER PRIMARY KEY REFERENCES rollouts (n),
  ladder  TEXT NOT NULL
) STRICT;

-- A device's row: its arm, the window that it started in, and what is special about it. Times of silence are of service: milliseconds that this server was up.
ALTER TABLE rollout_devices ADD COLUMN arm TEXT NOT NULL DEFAULT 'canary';      -- canary, control, holdback
ALTER TABLE rollout_devices ADD COLUMN in_window INTEGER NOT NULL DEFAULT 0;    -- 0: it has not started ("window" is a word of SQL)
ALTER TABLE rollout_devices ADD COLUMN kind TEXT NOT NULL DEFAULT '';           -- '', golden, none (no evidence), there (ran the release before)
ALTER TABLE rollout_devices ADD COLUMN code TEXT NOT NULL DEFAULT '';           -- of its failure
ALTER TABLE rollout_devices ADD COLUMN told_s INTEGER NOT NULL DEFAULT 0;       -- service time at which this attempt was told
ALTER TABLE rollout_devices ADD COLUMN started_s INTEGER NOT NULL DEFAULT 0;    -- service time at which it started: it belongs to a window since then
UPDATE rollout_devices SET kind = CASE WHEN state = 'healthy' THEN 'there' ELSE 'none' END WHERE eligible = 0;
UPDATE rollout_devices SET silent_at = 0;
ALTER TABLE rollout_devices DROP COLUMN eligible;
CREATE INDEX rollout_devices_quiet ON rollout_devices (rollout, silent_at) WHERE state IN ('dispatched', 'downloading', 'waiting', 'testing', 'probation');
CREATE INDEX rollout_devices_codes ON rollout_devices (rollout, code) WHERE outcome = 'failed';

DROP TRIGGER rollout_devices_come;
DROP TRIGGER rollout_devices_go;
DROP TRIGGER rollout_devices_move;
DROP TABLE rollout_counts;
CREATE TABLE rollout_counts (
  rollout   INTEGER NOT NULL,
  stratum   TEXT NOT NULL,
  arm       TEXT NOT NULL,
  in_window INTEGER NOT NULL,
  state     TEXT NOT NULL,
  outcome   TEXT NOT NULL,                -- '': none yet
  exposed   INTEGER NOT NULL,
  kind      TEXT NOT NULL,
  attempt   INTEGER NOT NULL,             -- of a control: its window
  devices   INTEGER NOT NULL,
  PRIMARY KEY (rollout, stratum, arm, in_window, state, outcome, exposed, kind, attempt)
) STRICT, WITHOUT ROWID;
INSERT INTO rollout_counts SELECT rollout, stratum, arm, in_window, state, coalesce(outcome, ''), exposed, kind, attempt, count(*) FROM rollout_devices
  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;
CREATE TRIGGER rollout_devices_come AFTER INSERT ON rollout_devices BEGIN
  INSERT INTO rollout_counts (rollout, stratum, arm, in_window, state, outcome, exposed, kind, attempt, devices)
    VALUES (new.rollout, new.stratum, new.arm, new.in_window, new.state, coalesce(new.outcome, ''), new.exposed, new.kind, new.attempt, 1)
    ON CONFLICT (rollout, stratum, arm, in_window, state, outcome, exposed, kind, attempt) DO UPDATE SET devices = devices + 1;
END;
CREATE TRIGGER rollout_devices_go AFTER DELETE ON rollout_devices BEGIN
  UPDATE rollout_counts SET devices = devices - 1 WHERE rollout = old.rollout AND stratum = old.stratum AND arm = old.arm AND in_window = old.in_window
    AND state = old.state AND outcome = coalesce(old.outcome, '') AND exposed = old.exposed AND kind = old.kind AND attempt = old.attempt;
END;
CREATE TRIGGER rollout_devices_move AFTER UPDATE OF stratum, arm, in_window, state, outcome, exposed, kind, attempt ON rollout_devices
  WHEN old.stratum <> new.stratum OR old.arm <> new.arm OR old.in_window <> new.in_window OR old.state <> new.state OR old.outcome IS NOT new.outcome
    OR old.exposed <> new.exposed OR old.kind <> new.kind OR old.attempt <> new.attempt BEGIN
  UPDATE rollout_counts SET devices = devices - 1 WHERE rollout = old.rollout AND stratum = old.stratum AND arm = old.arm AND in_window = old.in_window
    AND state = old.state AND outcome = coalesce(old.outcome, '') AND exposed = old.exposed AND kind = old.kind AND attempt = old.attempt;
  INSERT INTO rollout_counts (rollout, stratum, arm, in_window, state, outcome, exposed, kind, attempt, devices)
    VALUES (new.rollout, new.stratum, new.arm, new.in_window, new.state, coalesce(new.outcome, ''), new.exposed, new.kind, new.attempt, 1)
    ON CONFLICT (rollout, stratum, arm, in_window, state, outcome, exposed, kind, attempt) DO UPDATE SET devices = devices + 1;
END;

DROP TABLE rollout_strata;

-- What a device's samples of one metric came to since it switched, or since it was told to prove; and counts of what gates ask of them, kept as these rows
-- change. Sums without their times, as earlier servers kept them, say nothing of a confidence sequence: devices begin anew.
DROP TABLE rollout_samples;
CREATE TABLE rollout_samples (
  rollout INTEGER NOT NULL,
  device  INTEGER NOT NULL,
  metric  TEXT NOT NULL,
  arm     TEXT NOT NULL,
  samples TEXT NOT NULL,                  -- the device's own confidence sequence (server/rollout/engine/samples.hpp); '{}' where no absolute gate asks
  summary TEXT NOT NULL DEFAULT '',       -- for gates metrics and drift (server/rollout/engine/measured.hpp); '': none since it began
  class   INTEGER NOT NULL,               -- what is counted of it: is it bad, has it sent enough, at which ages
  healthy INTEGER NOT NULL,               -- a canary whose outcome is
  PRIMARY KEY (rollout, metric, device),
  FOREIGN KEY (rollout, device) REFERENCES rollout_devices (rollout, device) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX rollout_samples_of ON rollout_samples (rollout, device);
CREATE TABLE rollout_metric_counts (
  rollout INTEGER NOT NULL,
  metric  TEXT NOT NULL,
  arm     TEXT NOT NULL,
  class   INTEGER NOT NULL,
  healthy INTEGER NOT NULL,
  devices INTEGER NOT NULL,
  PRIMARY KEY (rollout, metric, arm, class, healthy)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER rollout_samples_come AFTER INSERT ON rollout_samples BEGIN
  INSERT INTO rollout_metric_counts (rollout, metric, arm, class, healthy, devices) VALUES (new.rollout, new.metric, new.arm, new.class, new.healthy, 1)
    ON CONFLICT (rollout, metric, arm, class, healthy) DO UPDATE SET devices = devices + 1;
END;
CREATE TRIGGER rollout_samples_go AFTER DELETE ON rollout_samples BEGIN
  UPDATE rollout_metric_counts SET devices = devices - 1
    WHERE rollout = old.rollout AND metric = old.metric AND arm = old.arm AND class = old.class AND healthy = old.healthy;
END;
CREATE TRIGGER rollout_samples_move AFTER UPDATE OF arm, class, healthy ON rollout_samples
  WHEN old.arm <> new.arm OR old.class <> new.class OR old.healthy <> new.healthy BEGIN
  UPDATE rollout_metric_counts SET devices = devices - 1
    WHERE rollout = old.rollout AND metric = old.metric AND arm = old.arm AND class = old.class AND healthy = old.healthy;
  INSERT INTO rollout_metric_counts (rollout, metric, arm, class, healthy, devices) VALUES (new.rollout, new.metric, new.arm, new.class, new.healthy, 1)
    ON CONFLICT (rollout, metric, arm, class, healthy) DO UPDATE SET devices = devices + 1;
END;
