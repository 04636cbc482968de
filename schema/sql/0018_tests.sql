-- A test of two releases (a policy's `ab`): the one that the rollout's own is tested against.
ALTER TABLE rollouts ADD COLUMN against INTEGER REFERENCES releases (n);
