-- Who stands behind a token: `user:ann`, `oidc:REPOSITORY@ISSUER`. All tokens of one identity are one person to approvals and to the audit log.
-- NULL: the token stands for itself.
ALTER TABLE tokens ADD COLUMN identity TEXT;
ALTER TABLE tokens ADD COLUMN bound_role TEXT;  -- the bound role it was exchanged for; goes with it

-- What an identity token of a CI system is good for: everything it must say, and the role it gets.
CREATE TABLE bound_roles (
  name             TEXT PRIMARY KEY,
  role             TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'publisher', 'approver')),
  model            TEXT,
  selector         TEXT,
  issuer           TEXT NOT NULL,
  issuer_ca        TEXT NOT NULL,             -- PEM: what the issuer's TLS must be signed by
  audience         TEXT NOT NULL,
  repository_claim TEXT NOT NULL,             -- how the issuer calls it: repository, project_path
  repository       TEXT NOT NULL,
  ref              TEXT,                      -- exactly this, or
  ref_prefix       TEXT,                      -- whatever begins so
  expires_in_ms    INTEGER NOT NULL,          -- of the tokens it gives
  created_by       TEXT NOT NULL,
  created_at       INTEGER NOT NULL,
  CHECK ((ref IS NULL) <> (ref_prefix IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_bound ON tokens (bound_role, expires_at) WHERE bound_role IS NOT NULL;
