#!/usr/bin/env bash
# The golden test of what runs is run again when the device is no longer what it was proved on. A change is an event; what runs stays.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
new_agent d1
echo 1.0 >"$work/driver"
printf 'report: {accelerator: {file: %s/driver}}\n' "$work" >>"$work/d1/agent.yaml"
start_agent d1
make_release "$work/v1" one 0 "[ \"\$(cat $work/driver)\" != 2.0 ] || echo other >\"\$FLEET_OUTPUT\""
printf '%s\nmatch: {runtime: "accelerator>=1"}\n' "$golden" >"$work/manifest.yaml"
publish 1 "$work/v1" --manifest "$work/manifest.yaml"
expect "a release is installed" ctl rollout wait "$(roll_out 1)" --timeout 30s
reports() { [ "$(ctl device get d1 -o json | jq -r --arg k "$1" '.reported[$k] // "none"')" = "$2" ]; }
expect "a fact is read from its file" until_true 10 reports accelerator 1.0
expect "and the kernel is told by itself" reports kernel "$(uname -r)"
events() { curl -sN --max-time 2 --cacert "$FLEETCTL_CA" -H "Authorization: Bearer $(cat "$FLEETCTL_TOKEN_FILE")" -H 'Last-Event-ID: 0' "$FLEETCTL_SERVER/api/v1/events"; }
noted() { events | grep device.note | grep golden_changed | grep -qF "$1"; }
because() { "$bin/fleet-agent" status --root "$work/d1" -o json | jq -e --arg code "$1" '.models[0].because | map(.code) | contains([$code])' >/dev/null; }

echo 1.1 >"$work/driver"; kill -HUP "${agent_pid[d1]}"
tested_again() { [ "$(grep -c golden.again "$work/d1.agent.log")" -ge "$1" ]; }
expect "another driver has it tested again" until_true 20 tested_again 1
expect "nothing came of it" because committed
echo 2.0 >"$work/driver"; kill -HUP "${agent_pid[d1]}"
expect "what computes otherwise is an event" until_true 20 noted 'm@1 runs, and fails its golden test now (golden_mismatch)'
expect "with what changed" noted 'accelerator was 1.1 and is 2.0 now'
expect "the device says so" because golden_mismatch
kill_agent d1; start_agent d1  # its next poll tells
expect "and so does the server" until_true 10 bash -c "$(declare -f ctl); bin=$bin ctl device explain d1 | grep -q 'failed when it was tested again'"
expect "what runs stays" content_is d1 one
is_committed() { [ "$(state_of d1)" = committed ]; }
expect "and is committed" until_true 10 is_committed
echo 1.2 >"$work/driver"; kill -HUP "${agent_pid[d1]}"
expect "that it is right again is an event, too" until_true 20 noted 'm@1 runs, and passes its golden test again'
