#!/usr/bin/env bash
# What devices measure arrives under the labels that the operator chose: by site, by name with type and unit, as windows for training.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
for site in lab yard; do new_agent "$site"; ctl device label "$site" "site=$site" >/dev/null; start_agent "$site"; done
printf '%s\nschema: {accuracy: {unit: "1", range: [0, 1]}}\n' "$golden" >"$work/manifest.yaml"
make_release "$work/v1" one; publish 1 "$work/v1" --manifest "$work/manifest.yaml"
ctl rollout wait "$(roll_out 1)" --timeout 60s >/dev/null || fail "the release is not everywhere"

expect "samples are kept by no label at first" test "$(ctl telemetry labels -o json | jq -c .labels)" = '[]'
expect_code "what is no label's name is refused" 2 "$bin/fleetctl" telemetry labels hardware
expect "the operator chooses one" test "$(ctl telemetry labels site --reason "a report a site")" = site
expect "which is audited" test "$(ctl audit list -o jsonl | jq -r 'select(.action == "telemetry.labels_changed") | .reason')" = "a report a site"

# measure DEVICE METRIC|TYPE VALUE...: as an app of the device does.
measure() {
  python3 - "$work/$1" "$2" "${@:3}" <<'PY'
import os, socket, sys
root, (name, kind), values = sys.argv[1], sys.argv[2].split("|"), sys.argv[3:]
release = os.path.basename(os.readlink(root + "/models/m/current"))
app = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for value in values:
    app.sendto(f"{name}:{value}|{kind}|#release:{release}".encode(), root + "/run/statsd.sock")
PY
}
measure lab "accuracy|d" 0.9 0.8; measure yard "accuracy|d" 0.5 0.5; measure yard "inferences|c" 30
by_site() { ctl telemetry query accuracy --by site --stat mean -o json | jq -c '[.series[] | {(.labels.site): .points[-1][1]}] | add'; }
both() { [ "$(by_site)" = '{"lab":0.85,"yard":0.5}' ]; }
expect "a mean a site" until_true 30 both
expect "or of one site alone" test "$(ctl telemetry query accuracy -l site=yard --stat mean -o json | jq -c '[.series[].points[-1][1]]')" = '[0.5]'
expect_code "by a label that nobody chose is refused" 2 "$bin/fleetctl" telemetry query accuracy --by region
expect "with the labels that there are" grep -q site "$work/last.err"
counted() { ctl telemetry metrics --model m -o jsonl >"$work/metrics" && grep -q inferences "$work/metrics"; }
expect "names are listed" until_true 30 counted
expect "with types" test "$(jq -rs 'map("\(.name) \(.type)") | join(",")' "$work/metrics")" = "accuracy distribution,inferences counter"
expect "and units, as the newest release says" test "$(jq -rs '.[0].unit' "$work/metrics")" = 1
windows() { ctl telemetry features --model m --since 1h --step 1h -l site=yard >"$work/features" && [ "$(jq -s 'map(select(.metric == "inferences") | .rate * .step_s | round) | add' "$work/features")" = 30 ]; }
expect "windows for training are lines of JSON" until_true 30 windows
expect "of one site, named and typed" test "$(jq -rs 'map(.labels.site) | unique | join(",")' "$work/features")" = yard
kill_server; start_server
expect "a server that starts anew has all of it" both
expect "the choice, too" test "$(ctl telemetry labels -o name)" = site
