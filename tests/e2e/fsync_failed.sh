#!/usr/bin/env bash
# The server's disk fails to sync: the process ends rather than acknowledge (PostgreSQL's "fsyncgate"), and what it had acknowledged is there after the restart.
# A device's disk fails: what runs goes on, the server hears what it is, and with a disk that works the update is made.
. "$(dirname "$0")/lib.sh"
[ -z "${FLEET_TEST_POSTGRES:-}" ] || { echo "skipped: the disk is PostgreSQL's"; exit 77; }
init_server
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
FAILING_FSYNC=$work/dying LD_PRELOAD=$bin/failing-fsync.so start_server
ctl model create m >/dev/null
new_agent d1
for i in 1 2 3; do ctl device label d1 "good$i=yes" >/dev/null || fail "label good$i"; done
gone() { ! kill -0 "$server_pid" 2>/dev/null; }

for round in 1 2 3; do
  touch "$work/dying"
  got=0; ctl device label d1 "never$round=yes" --timeout 5s >/dev/null 2>&1 || got=$?
  expect "$round: the write is not acknowledged (exit $got)" test "$got" -ne 0
  expect "$round: the server ends" until_true 10 gone
  code=0; wait "$server_pid" || code=$?; server_pid=
  expect "$round: with a failure (exit $code)" test "$code" -ne 0
  expect "$round: and says why" grep -q fsync_failed "$work/server.log"
  rm "$work/dying"; : >"$work/server.log"
  FAILING_FSYNC=$work/dying LD_PRELOAD=$bin/failing-fsync.so start_server
  for i in 1 2 3; do ctl device get d1 -o json | jq -e --arg l "good$i" '.labels[$l] == "yes"' >/dev/null || fail "acknowledged label good$i is lost"; done
done

printf 'stages: [{percent: 100}]\non_harm: pause\n' >"$work/policy.yaml"
FAILING_FSYNC=$work/dying-device start_agent d1 env LD_PRELOAD="$bin/failing-fsync.so"
make_release "$work/v1" one; publish 1 "$work/v1"
expect "1 is rolled out" ctl rollout wait "$(roll_out 1)" --timeout 30s
touch "$work/dying-device"
make_release "$work/v2" two; publish 2 "$work/v2"
r=$(roll_out 2)
explained() { ctl device explain d1 | grep -q "disk answers with errors"; }
expect "the server hears that the device's disk fails" until_true 40 explained
expect "what runs goes on" content_is d1 one
rm "$work/dying-device"
expect "with a disk that works 2 is rolled out" ctl rollout wait "$r" --timeout 60s
kill_server
expect "check finds nothing" "$bin/fleet-server" check --data "$work/server"
