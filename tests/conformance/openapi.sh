#!/usr/bin/env bash
# openapi-spec-validator, from PyPI, reads the document as it is served.
# usage: openapi.sh BIN PYTHON   (a Python that has openapi-spec-validator)
set -- "$(cd "$1" && pwd)" "$(readlink -f "$(dirname "$2")")/$(basename "$2")"
python=$2
. "$(dirname "$0")/../e2e/lib.sh"
init_server; start_server
curl -s --cacert "$FLEETCTL_CA" "$FLEETCTL_SERVER/openapi.json" >"$work/openapi.json"
is_valid() {
  "$python" - "$work/openapi.json" <<'PYTHON'
import json, sys
from openapi_spec_validator import OpenAPIV31SpecValidator
found = list(OpenAPIV31SpecValidator(json.load(open(sys.argv[1]))).iter_errors())
for e in found: print("/".join(map(str, e.absolute_path)), ":", e.message[:200])
sys.exit(bool(found))
PYTHON
}
expect "the document is valid OpenAPI 3.1" is_valid
