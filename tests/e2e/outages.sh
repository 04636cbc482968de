#!/usr/bin/env bash
# What takes half an hour (`make outages`): 20 minutes without a server in the middle of a window, clocks that step by an hour in both directions under a
# running server, slow pollers beside parked ones, an app that falls asleep, and then a release that is bad. Only the last is taken back.
# OUTAGE=65 shortens the first.
. "$(dirname "$0")/lib.sh"
library=$(faketime_library)
[ -n "$library" ] || exit 77
clock=$work/clock
step_to() { echo "$1" >"$clock.new"; mv "$clock.new" "$clock"; }
stepped_server() { LD_PRELOAD=$library FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_TIMESTAMP_FILE=$clock FAKETIME_CACHE_DURATION=1 start_server; }
step_to +0
init_server; stepped_server
ctl model create m >/dev/null
parked=$(seq -f 'd%.0f' 1 16) slow=$(seq -f 'd%.0f' 17 24) ids=$(seq -f 'd%.0f' 1 24)
for id in $ids; do new_agent "$id"; done
for id in $slow; do sed -i 's/^poll:.*/poll: {interval: 60s, long_poll: false}/' "$work/$id/agent.yaml"; done
for id in $ids; do start_agent "$id"; done

manifest=$work/manifest.yaml
release() { # VERSION EXIT_OF_ITS_HEALTH_CHECK PROBATION
  make_release "$work/v$1" "release $1"
  printf '#!/bin/sh\nexit %s\n' "$2" >"$work/v$1/lib/well.sh"; chmod 755 "$work/v$1/lib/well.sh"
  printf '%s\nhealth: [{exec: [lib/well.sh], every: 2s}]\nprobation: %s\n' "$golden" "$3" >"$manifest"
  publish "$1" "$work/v$1" --manifest "$manifest"
}
cat >"$work/compared.yaml" <<'YAML'
stages:
  - {devices: 8, bake: 1s, deadline: 3h}
  - {percent: 100, deadline: 3h}
gates:
  failures: {}
  silent:   {after_reports: 1}
strata: []
YAML
all_run() { local version; for id in $ids; do runs "$id" "$1" || return 1; done; }
at_work() { [ "$(ctl rollout devices "$1" -o json | jq "[.items[] | select(.state == \"probation\" or .state == \"proving\")] | length")" -ge "$2" ]; }
silent() { ctl rollout get "$1" -o json | jq .counts.silent; }
no_one_silent() { expect "nobody counts as silent" test "$(silent "$1")" -eq 0; }

release 1 0 '{time: 1s, max: 30s}'
expect "the first release is everywhere" ctl rollout wait "$(roll_out 1 "$work/policy.yaml")" --timeout 300s
expect "all run it" until_true 90 all_run 1

release 2 0 '{time: 45s, max: 5m}'
r=$(roll_out 2 "$work/compared.yaml")
expect "canaries and controls are at work" until_true 150 at_work "$r" 8
kill_server
sleep "${OUTAGE:-1200}"
stepped_server
expect "${OUTAGE:-1200} s without a server end nothing: it completes" ctl rollout wait "$r" --timeout 15m
no_one_silent "$r"
expect "all run 2, when the last has ended its back-off of at most 10 minutes" until_true 720 all_run 2

n=2
for to in +1h -1h +0; do
  n=$((n + 1))
  release $n 0 '{time: 30s, max: 5m}'
  r=$(roll_out $n "$work/compared.yaml")
  expect "canaries and controls are at work" until_true 150 at_work "$r" 8
  step_to $to
  expect "the server's clock steps to $to: it completes" ctl rollout wait "$r" --timeout 15m
  no_one_silent "$r"
  expect "all run $n" until_true 90 all_run $n
done

# The devices' app: it counts an inference a second for whatever runs, and sleeps while $work/asleep is there.
cat >"$work/app.py" <<'PYTHON'
import os, socket, sys, time
work, ids = sys.argv[1], sys.argv[2:]
out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
while True:
    for id in [] if os.path.exists(work + "/asleep") else ids:
        try:
            release = os.path.basename(os.readlink(f"{work}/{id}/models/m/current"))
            out.sendto(f"inferences:1|c|#release:{release}".encode(), f"{work}/{id}/run/statsd.sock")
        except OSError:
            pass
    time.sleep(1)
PYTHON
python3 "$work/app.py" "$work" $ids & others+=($!)
n=$((n + 1))
asks='{time: 2s, inferences: 5, max: 40s}'
release $n 0 "$asks"
expect "a release that asks for inferences arrives while its app is awake" ctl rollout wait "$(roll_out $n "$work/compared.yaml")" --timeout 15m
expect "all run $n" until_true 90 all_run $n
touch "$work/asleep"
release $((n + 1)) 0 "$asks"
r=$(roll_out $((n + 1)) "$work/compared.yaml")
enough_failed() { [ "$(ctl rollout devices "$r" -o json | jq '[.items[] | select(.outcome == "failed")] | length')" -ge 16 ]; }
expect "while it sleeps canaries and controls fail alike" until_true 300 enough_failed
sleep 20
state=$(ctl rollout get "$r" -o json | jq -r .state)
expect "and nothing is taken back ($state)" grep -qxE 'running|paused' <<<"$state"
ctl rollout explain "$r"
rm "$work/asleep"
ctl rollout abort "$r" --reason "the app slept" --yes >/dev/null

release $((n + 2)) 1 '{time: 5s, max: 30s}'
r=$(roll_out $((n + 2)) "$work/compared.yaml")
expect_code "a release that fails in the field ends with 5" 5 ctl rollout wait "$r" --timeout 15m
