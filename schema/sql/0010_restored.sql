-- A rollout that a backup brought back: what it says of the past is no order until a person resumes it. 0: no; 1: it waits; 2: a person resumed.
ALTER TABLE rollouts ADD COLUMN restored INTEGER NOT NULL DEFAULT 0;
