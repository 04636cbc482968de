-- What starts when an alias of a model moves.
CREATE TABLE model_standing (
  model    TEXT NOT NULL REFERENCES models (name),
  alias    TEXT NOT NULL,
  selector TEXT NOT NULL,
  policy   TEXT NOT NULL,               -- JSON, as it was written: a policy, or the name of a preset
  PRIMARY KEY (model, alias)
) STRICT, WITHOUT ROWID;
-- The alias whose move started it; NULL: a person did.
ALTER TABLE rollouts ADD COLUMN follows TEXT;
