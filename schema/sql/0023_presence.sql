-- How many devices were out of reach, an hour a row: what simulations of this fleet take their absences from (server/rollout/shell/presence.hpp).
CREATE TABLE presence (
  hour     INTEGER PRIMARY KEY,           -- hours since 1970
  devices  INTEGER NOT NULL,              -- active ones that were ever heard
  away     INTEGER NOT NULL,              -- of them, not heard for three of their poll intervals
  returned INTEGER NOT NULL               -- absences that ended since the row before
) STRICT;
