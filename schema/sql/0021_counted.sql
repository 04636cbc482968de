-- Devices that failed, by code: counted as rows change, so that a look of the judge reads counts whatever the fleet's size. And an index that pages through
-- those that failed, where most did not.
DROP INDEX rollout_devices_codes;
CREATE INDEX rollout_devices_failed ON rollout_devices (rollout, device) WHERE outcome = 'failed';
CREATE TABLE rollout_failure_counts (
  rollout INTEGER NOT NULL,
  code    TEXT NOT NULL,
  devices INTEGER NOT NULL,
  PRIMARY KEY (rollout, code)
) STRICT, WITHOUT ROWID;
INSERT INTO rollout_failure_counts SELECT rollout, code, count(*) FROM rollout_devices WHERE outcome = 'failed' GROUP BY rollout, code;
CREATE TRIGGER rollout_failures_come AFTER INSERT ON rollout_devices WHEN new.outcome = 'failed' BEGIN
  INSERT INTO rollout_failure_counts (rollout, code, devices) VALUES (new.rollout, new.code, 1) ON CONFLICT (rollout, code) DO UPDATE SET devices = devices + 1;
END;
CREATE TRIGGER rollout_failures_go AFTER DELETE ON rollout_devices WHEN old.outcome = 'failed' BEGIN
  UPDATE rollout_failure_counts SET devices = devices - 1 WHERE rollout = old.rollout AND code = old.code;
END;
CREATE TRIGGER rollout_failures_move_from AFTER UPDATE OF outcome, code ON rollout_devices
  WHEN old.outcome = 'failed' AND (new.outcome IS DISTINCT FROM 'failed' OR new.code <> old.code) BEGIN
  UPDATE rollout_failure_counts SET devices = devices - 1 WHERE rollout = old.rollout AND code = old.code;
END;
CREATE TRIGGER rollout_failures_move_to AFTER UPDATE OF outcome, code ON rollout_devices
  WHEN new.outcome = 'failed' AND (old.outcome IS DISTINCT FROM 'failed' OR new.code <> old.code) BEGIN
  INSERT INTO rollout_failure_counts (rollout, code, devices) VALUES (new.rollout, new.code, 1) ON CONFLICT (rollout, code) DO UPDATE SET devices = devices + 1;
END;

-- What a snapshot of the rollouts begins with, however many ended.
CREATE INDEX rollouts_ended ON rollouts (model, selector, moment DESC, state, started_at) WHERE started_at IS NOT NULL AND state IN ('completed', 'aborted', 'rolled_back');
CREATE INDEX rollouts_rolled_back ON rollouts (n) WHERE state = 'rolled_back';
