#!/usr/bin/env bash
# Shadow: before the switch both versions answer on what the device recorded; the share that differs is measured, and too much of it refuses the release.
# And memory: what has no room beside what runs waits for it.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
new_agent d1
seq 1 100 >"$work/recorded"; printf 'inputs: {m: %s/recorded}\n' "$work" >>"$work/d1/agent.yaml"
start_agent d1

# make VERSION SED: a release that answers with its inputs, changed by SED
make() {
  make_release "$work/v$1" "v$1"
  printf '#!/bin/sh\n[ "$1" != --shadow ] || exec sed "%s;${FLEET_COUNT}q" "$FLEET_INPUTS" >"$FLEET_OUTPUT"\necho ok >"$FLEET_OUTPUT"\n' "$2" >"$work/v$1/lib/check.sh"
  publish "$1" "$work/v$1" --manifest "$work/manifest.yaml"
}
says() { ctl rollout devices "$1" -o json | jq -e --arg code "$2" --arg text "$3" '.items[0] | .state == "failed" and .error.code == $code and (.error.text | contains($text))' >/dev/null; }
events() { curl -sN --max-time 2 --cacert "$FLEETCTL_CA" -H "Authorization: Bearer $(cat "$FLEETCTL_TOKEN_FILE")" -H 'Last-Event-ID: 0' "$FLEETCTL_SERVER/api/v1/events"; }
noted() { events | grep device.note | grep -F "\"$1\"" | grep -qF "$2"; }
share() { ctl telemetry query agent.shadow_disagreement --release "m@$1" --stat mean -o json | jq -r '.series[0].points[-1][1] // empty'; }
measured() { [ -n "$(share "$1")" ]; }

printf '%s\nshadow: {command: [lib/check.sh, --shadow], n: 50, disagree_max: 10%%}\n' "$golden" >"$work/manifest.yaml"
make 1 ''
expect "the first release has nothing to be compared with, and is installed" ctl rollout wait "$(roll_out 1)" --timeout 30s
expect "which is said" until_true 10 noted shadow_skipped "m@1 was not compared with what runs: nothing ran before"
make 2 's/^[1-5]$/0/'
expect "a release that differs in 5 of 50 is installed" ctl rollout wait "$(roll_out 2)" --timeout 30s
expect "and the share that differs is measured" until_true 20 measured 2
echo "   agent.shadow_disagreement of m@2: $(share 2)"
make 3 's/^[1-9]$/7/'
r=$(roll_out 3)
expect "one that differs from that in more is refused before the switch" until_true 20 says "$r" shadow_disagrees "inferences differ from what runs"
says "$r" shadow_disagrees "at most 10 % of 50 are allowed" || fail "what is allowed"
expect "what runs was not touched" content_is d1 v2
ctl rollout abort "$r" --yes --reason test >/dev/null

printf '%s\nmatch: {memory_min: %s}\n' "$golden" "$(($(awk '/MemAvailable/ {print $2}' /proc/meminfo) * 1024 + 1024 * 1024 * 1024))" >"$work/manifest.yaml"
make 4 ''
if [ "$(awk '/MemTotal/ {print $2}' /proc/meminfo)" -gt "$(($(awk '/MemAvailable/ {print $2}' /proc/meminfo) + 1200 * 1024))" ]; then
  roll_out 4 >/dev/null
  waits_for_memory() { "$bin/fleet-agent" status --root "$work/d1" -o json | jq -e '.models[0] | .state == "waiting" and .because[0].code == "memory"' >/dev/null; }
  expect "what has no room beside what runs waits for memory" until_true 20 waits_for_memory
  expect "and says how much" bash -c "'$bin/fleet-agent' explain --root '$work/d1' | grep -q 'to load it beside what runs takes'"
  echo 'unload_first: [m]' >>"$work/d1/agent.yaml"; kill -HUP "${agent_pid[d1]}"
  expect "where the app drops the old one first it goes on" until_true 20 content_is d1 v4
fi
