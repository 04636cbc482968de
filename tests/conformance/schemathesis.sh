#!/usr/bin/env bash
# schemathesis, from PyPI, reads the document that a real server gives and asks it everything: values at their limits, wrong ones, methods that are not there.
# What it finds must be what known_findings.txt says, each with its reason: more is a fault, less is a line to take out.
# usage: schemathesis.sh BIN SCHEMATHESIS
here=$(cd "$(dirname "$0")" && pwd)
set -- "$(cd "$1" && pwd)" "$(readlink -f "$(dirname "$2")")/$(basename "$2")"
tool=$2
. "$here/../e2e/lib.sh"
init_server; start_server
# Devices' routes want a certificate, and a stream of events does not end.
"$tool" run "$FLEETCTL_SERVER/openapi.json" --tls-verify "$FLEETCTL_CA" -H "Authorization: Bearer $(cat "$work/server/admin.token")" \
  --checks all --phases "${PHASES:-coverage,fuzzing}" -n "${EXAMPLES:-10}" --generation-deterministic --no-shrink --continue-on-failure --no-color \
  --exclude-path-regex '^/device/|/events$' --report json --report-json-path "$work/report.json" >"$work/schemathesis.log" 2>&1
expect "schemathesis ran to its end" jq -e '.complete and .operations.tested > 50' "$work/report.json"
jq -r '.failures[] | .code as $code | .operations[] | "\($code) \(.)"' "$work/report.json" | sort -u >"$work/found"
sed -E 's/ *#.*//; /^$/d' "$here/known_findings.txt" | sort -u >"$work/known"
same() { diff -u "$work/known" "$work/found"; }
expect "it finds what is known, with its reason, and nothing else" same
# The token that asked may have revoked itself.
lives() { curl -sf --cacert "$FLEETCTL_CA" -o /dev/null "$FLEETCTL_SERVER/healthz"; }
expect "the server lives on" lives
