#!/usr/bin/env bash
# Canaries beside a concurrent control, between real processes: the control proves what it runs and changes nothing; an outage of the server and one of
# a site take nothing back; a release that fails in the field is taken back by what the canaries do and the control does not.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
ids=$(seq -f 'd%.0f' 1 18)
for id in $ids; do new_agent "$id"; start_agent "$id"; done

manifest=$work/manifest.yaml
printf '%s\nhealth: [{exec: [lib/well.sh], every: 500ms}]\nprobation: {time: 3s, max: 30s}\n' "$golden" >"$manifest"
release() { # VERSION EXIT_OF_ITS_HEALTH_CHECK
  make_release "$work/v$1" "release $1"
  printf '#!/bin/sh\nexit %s\n' "$2" >"$work/v$1/lib/well.sh"; chmod 755 "$work/v$1/lib/well.sh"
  publish "$1" "$work/v$1" --manifest "$manifest"
}
printf 'stages: [{percent: 100}]\non_harm: pause\n' >"$work/everywhere.yaml"
cat >"$work/policy.yaml" <<'YAML'
stages:
  - {devices: 6, bake: 1s, deadline: 10m}
  - {percent: 100, deadline: 10m}
gates:
  failures: {}
  silent:   {after_reports: 1}
strata: []
YAML
count() { ctl rollout devices "$1" -o json | jq "[.items[] | select($2)] | length"; }
has() { [ "$(count "$1" "$2")" -eq "$3" ]; }
all_run() { for id in $ids; do runs "$id" "$1" || return 1; done; }

release 1 0
expect "the first release is everywhere, without a control: there is nothing to compare with" ctl rollout wait "$(roll_out 1 "$work/everywhere.yaml")" --timeout 60s
expect "all run it" until_true 10 all_run 1

release 2 0
r=$(roll_out 2)
expect "six canaries and twelve controls are told" until_true 20 bash -c "[ \"\$('$bin/fleetctl' rollout devices $r -o json | jq -c '[.items[].arm] | [(map(select(. == \"canary\")) | length), (map(select(. == \"control\")) | length)]')\" = '[6,12]' ]"
kill_server
site="d1 d2 d3 d4 d5 d6 d7 d8"
for id in $site; do kill_agent "$id"; done
sleep 65
start_server
for id in $site; do start_agent "$id"; done
expect "an outage of the server, and of a site in both arms, ends nothing: it completes" ctl rollout wait "$r" --timeout 120s
expect "nobody counts as silent" test "$(ctl rollout get "$r" -o json | jq .counts.silent)" -eq 0
expect "all run the second release" until_true 10 all_run 2
proved() { ctl device history "$1" -o json | jq -e '[.items[] | select(.state == "proved" and .version == "1")] | length > 0' >/dev/null; }
some_proved() { for id in $ids; do proved "$id" && return 0; done; return 1; }
expect "controls proved what they ran" some_proved

release 3 1
r=$(roll_out 3)
expect_code "a release that fails in the field ends with 5" 5 ctl rollout wait "$r" --timeout 120s
ctl rollout explain "$r" >"$work/explained"
expect "the gate on failures took it back" test "$(ctl rollout get "$r" -o json | jq -r '[.verdict.gates[] | select(.decision == "rollback") | .name] | join(" ")')" = failures
expect "and says what both arms did" grep -q '6 of 6 canaries failed.*0 of 12 controls' "$work/explained"
expect "canaries alone had it" has "$r" '.arm == "canary" and .state == "reverted" and .outcome == "failed"' 6
expect "all run the second release still" until_true 10 all_run 2
expect "the control changed nothing" test "$(for id in $ids; do cat "$work/$id/models/m/current/model.bin"; done | sort -u)" = "release 2"
