-- A counter raised whenever a rollout starts or ends: which of them came later, whatever the clock said. NULL: never started.
ALTER TABLE rollouts ADD COLUMN moment INTEGER;
UPDATE rollouts SET moment = ranked.moment
  FROM (SELECT n, row_number() OVER (ORDER BY coalesce(completed_at, started_at), n) AS moment FROM rollouts WHERE started_at IS NOT NULL) AS ranked
  WHERE ranked.n = rollouts.n;
CREATE UNIQUE INDEX rollouts_by_moment ON rollouts (moment);
