#!/usr/bin/env bash
# Each role's key is rotated under a running fleet: an agent that polls follows, and so does one that slept through all of them; a death in between is settled.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
new_agent awake; start_agent awake
new_agent sleeper
make_release "$work/v1" one
publish 1 "$work/v1"
expect "1 is rolled out" ctl rollout wait "$(roll_out 1)" --timeout 30s
quietly() { "$@" >/dev/null; }
keys_of() { ctl trust status -o json | jq -r --arg r "$1" '.roles[] | select(.role == $r) | .keys[]'; }
n=1
for role in m-m targets snapshot timestamp root directive-root; do
  before=$(keys_of "$role")
  expect "$role rotates" quietly ctl trust rotate "$role" --reason "test of $role" --yes
  expect "$role has another key" test "$(keys_of "$role")" != "$before"
  n=$((n + 1))
  make_release "$work/v$n" "v$n"
  publish "$n" "$work/v$n"
  expect "an agent that polls follows to $n" ctl rollout wait "$(roll_out "$n")" --timeout 30s
  expect "and runs its bytes" content_is awake "v$n"
done
start_agent sleeper
expect "one that slept through all of it follows, too" until_true 30 content_is sleeper "v$n"
expect "the audit log has them" test "$(ctl audit list -o json | jq '[.items[] | select(.action == "trust.rotated")] | length')" -eq 6
expect_code "a role that is none is named" 3 ctl trust rotate nobody --reason test --yes
expect_code "a model that is none, too" 3 ctl trust rotate m-nobody --reason test --yes
expect "export-root is what agents pin" diff <(ctl trust export-root) <(curl -s --cacert "$FLEETCTL_CA" "$FLEETCTL_SERVER/tuf/$(ctl trust status -o json | jq '.roles[] | select(.role == "root") | .version').root.json")
expect "managed mode is told plainly" grep -q 'whoever takes the server over' <("$bin/fleetctl" trust status 2>&1)
expect "metrics tell the expiry" grep -q 'fleet_trust_expires_in_seconds{role="m-m"}' <(curl -s --cacert "$FLEETCTL_CA" "$FLEETCTL_SERVER/metrics")

# A key that was made, but never named by committed metadata, is forgotten at the start; the old one signs on.
kill_server
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/server/keys/targets.next"; chmod 600 "$work/server/keys/targets.next"
# One that was named, but whose file was not yet moved, is adopted.
mv "$work/server/keys/m-m.key" "$work/server/keys/m-m.next"; head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/server/keys/m-m.key"
start_server
expect "nothing is left half-way" test -z "$(ls "$work/server/keys" | grep next)"
make_release "$work/last" last
publish last "$work/last"
expect "and both keys sign what agents take" ctl rollout wait "$(roll_out last)" --timeout 30s
expect "as it is" content_is awake last
kill_server
expect "check finds nothing" "$bin/fleet-server" check --data "$work/server"
