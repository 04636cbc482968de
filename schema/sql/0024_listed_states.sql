-- A page of a rollout's devices in one state, or that came to one outcome, is read by an index in the order of the list; nothing asks by the columns that
-- stood in between. Devices that failed are those of one outcome.
DROP INDEX rollout_devices_state;
CREATE INDEX rollout_devices_state ON rollout_devices (rollout, state, device);
DROP INDEX rollout_devices_failed;
CREATE INDEX rollout_devices_outcome ON rollout_devices (rollout, outcome, device) WHERE outcome IS NOT NULL;
