#!/usr/bin/env bash
# A test of two releases between real processes: random halves of the devices get one each, the one that fails in the field loses, each of its devices is
# back on its own version before, and `rollout explain` names the winner and the command that takes it to all.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
ids=$(seq -f 'd%.0f' 1 14)
for id in $ids; do new_agent "$id"; start_agent "$id"; done

printf '%s\nhealth: [{exec: [lib/well.sh], every: 500ms}]\nprobation: {time: 1s, max: 30s}\n' "$golden" >"$work/manifest.yaml"
release() { # VERSION EXIT_OF_ITS_HEALTH_CHECK
  make_release "$work/v$1" "release $1"
  printf '#!/bin/sh\nexit %s\n' "$2" >"$work/v$1/lib/well.sh"; chmod 755 "$work/v$1/lib/well.sh"
  publish "$1" "$work/v$1" --manifest "$work/manifest.yaml"
}
count_running() { ctl device list -o json | jq "[.items[] | select(.running.m == \"$1\")] | length"; }
are_on() { [ "$(count_running "$1")" -eq "$2" ]; }
printf 'stages: [{percent: 100}]\n' >"$work/everywhere.yaml"
printf 'ab: {against: m@before, window: 7, every: 0s}\ngates: {failures: {harm_alpha: 0.009}}\n' >"$work/test.yaml"

release 1 0; release 2 0; release 3 1
ctl model set m --alias before=3 >/dev/null
expect "the first release is everywhere" ctl rollout wait "$(roll_out 1 "$work/everywhere.yaml")" --timeout 60s
expect "lint takes a test" ctl policy lint "$work/test.yaml"
ctl rollout plan --release m@2 --all --policy "$work/test.yaml" >"$work/planned"
expect "the plan says what it can see" grep -q '7 devices get the release.*7 run m@3' "$work/planned"

r=$(roll_out 2 "$work/test.yaml")
expect "the test completes" ctl rollout wait "$r" --timeout 90s
expect "the rollout's release has won" test "$(ctl rollout get "$r" -o json | jq -r .verdict.winner)" = A
ctl rollout explain "$r" >"$work/explained"
expect "explain says why" grep -q 'm@2 won: failures: 7 of 7 devices on m@3 failed, 0 of 7 devices on m@2 did' "$work/explained"
expect "what both arms came to" grep -qE '^control +7 +7 ' "$work/explained"
expect "and what to do next" grep -q 'fleetctl rollout create --release m@2 --all' "$work/explained"
expect "one arm keeps what won" until_true 20 are_on 2 7
expect "the other one is back on what it had" until_true 20 are_on 1 7
expect "both arms are told apart" test "$(ctl rollout devices "$r" -o json | jq -c '[.items[] | .arm + " " + .outcome] | group_by(.) | map([.[0], length])')" = '[["against failed",7],["canary healthy",7]]'
expect "the winner is taken to all" ctl rollout wait "$(roll_out 2 "$work/everywhere.yaml")" --timeout 60s
expect "all run it" until_true 20 are_on 2 14
