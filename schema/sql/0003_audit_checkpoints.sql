-- Signed heads of the audit chain (core/trust/audit_chain.hpp): what was kept outside proves that nothing was cut off or rewritten here.
CREATE TABLE audit_checkpoints (
  seq      INTEGER PRIMARY KEY,
  time     INTEGER NOT NULL,
  envelope TEXT NOT NULL                -- DSSE
) STRICT;
