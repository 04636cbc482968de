-- How a rollout went over time: what a chart shows. Points lie closer at the start than later, so that their number stays small.
CREATE TABLE rollout_series (
  rollout INTEGER NOT NULL REFERENCES rollouts (n),
  time    INTEGER NOT NULL,
  point   TEXT NOT NULL,                -- JSON: stage, counts, the gates' e-values
  PRIMARY KEY (rollout, time)
) STRICT, WITHOUT ROWID;
