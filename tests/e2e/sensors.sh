#!/usr/bin/env bash
# Sensors that are stuck or out of range move no mean and take no release back; a release that really is bad is taken back all the same. What the owner keeps
# on the device does not leave it.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
good=(g1 g2 g3 g4) stuck=(s1 s2) wild=(w1 w2)
for id in "${good[@]}" "${stuck[@]}" "${wild[@]}"; do
  new_agent "$id"
  [ "$id" != g1 ] || sed -i 's/^telemetry:.*/telemetry: {interval: 1s, send: [accuracy]}/' "$work/g1/agent.yaml"
  start_agent "$id"
done
ctl telemetry labels site >/dev/null
for id in "${stuck[@]}" "${wild[@]}"; do ctl device label "$id" site=yard >/dev/null; done
for id in "${good[@]}"; do ctl device label "$id" site=lab >/dev/null; done

# What the apps of all devices send five times a second: about 0.95, or 0.3 where what runs is bad; with sensors that are broken always the same, or nonsense.
cat >"$work/apps.py" <<'PY'
import os, random, socket, sys, time
work, app = sys.argv[1], socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
while True:
    for device in sys.argv[2:]:
        root = work + "/" + device
        try:
            release = os.path.basename(os.readlink(root + "/models/m/current"))
            bad = "bad" in open(root + "/models/m/current/model.bin").read()
            value = {"s": 0.1, "w": -999}.get(device[0], (0.3 if bad else 0.95) + random.uniform(-0.02, 0.02))
            app.sendto(f"accuracy:{value:.6f}|d|#release:{release}\nplates:1|c|#release:{release}".encode(), root + "/run/statsd.sock")
        except OSError:
            pass
    time.sleep(0.2)
PY
printf '%s\nschema: {accuracy: {unit: "1", range: [0, 1], varies: 3s, every: 30s}}\n' "$golden" >"$work/manifest.yaml"
cat >"$work/gated.yaml" <<'Y'
stages: [{percent: 100, bake: 1s}]
gates: {failures: {}, absolute: [{metric: accuracy, min: 0.9, block: 1s, blocks: 5, samples: 20, devices_max: 2%}]}
Y
for version in 1 2; do make_release "$work/v$version" "good $version"; publish "$version" "$work/v$version" --manifest "$work/manifest.yaml"; done
make_release "$work/v3" "bad 3"; publish 3 "$work/v3" --manifest "$work/manifest.yaml"
ctl rollout wait "$(roll_out 1)" --timeout 60s >/dev/null || fail "the first release is not everywhere"
python3 "$work/apps.py" "$work" "${good[@]}" "${stuck[@]}" "${wild[@]}" & others+=($!)

latest() { ctl telemetry latest "$1" -o jsonl | jq -r "select(.metric == \"$2\") | .$3"; }
flag_is() { [ "$(latest "$1" accuracy flag)" = "$2" ]; }
expect "a sensor that is stuck is flagged" until_true 30 flag_is s1 stuck
expect "one out of range, too" until_true 30 flag_is w1 out_of_range
expect "others are not" until_true 30 flag_is g1 null
expect "people see what a device measured last" test "$(ctl telemetry latest g2 | grep -c accuracy)" = 1
expect "with its unit" test "$(latest g2 accuracy unit)" = 1
expect "and that a sensor is broken" test "$(ctl device get s1 -o json | jq -r '.sensors[0] | "\(.metric) \(.flag)"')" = "accuracy stuck"
told() { [ "$(ctl telemetry events -o jsonl | jq -r "select(.type == \"device.sensor_flagged\" and .subject == \"device/$1\") | .data.flag" | sort | uniq -c | xargs)" = "1 $2" ]; }
expect "once" told s1 stuck
expect "of each" told w2 out_of_range
flagged_devices() { [ "$(curl -s --cacert "$FLEETCTL_CA" "$FLEETCTL_SERVER/metrics" | grep '^fleet_sensors_flagged_devices' | sed 's/.*flag="\(.*\)"} /\1=/' | xargs)" = 'stuck=2 out_of_range=2 missing=0 clock_skewed=0' ]; }
expect "and counted over the fleet" until_true 30 flagged_devices

rollout=$(roll_out 2 "$work/gated.yaml")
verdict() { ctl rollout get "$rollout" -o json | jq -r ".verdict.gates[] | select(.name == \"$1\") | .reason // .text // \"\""; }
evidence() { ctl rollout get "$rollout" -o json | jq -r ".verdict.gates[] | select(.name == \"$1\" and .test == \"$2\") | .evidence.$3"; }
half() { [ "$(evidence "coverage accuracy" safe have)" = 0.5 ]; }
expect "a good release: the four good sensors are evidence, the four broken ones are none" until_true 60 half
sleep 4
expect "nobody is bad" test "$(evidence accuracy harm bad)" = 0
expect "so that it is not taken back, and does not pass by silence" rollout_is "$rollout" running
expect "why is told" grep -q "samples of 4 devices are flagged" <(ctl rollout explain "$rollout"; ctl rollout get "$rollout" -o json)
mean() { ctl telemetry query accuracy --release m@2 --since 10m --step 10m "$@" -o json; }
expect "the mean is that of the good ones" test "$(mean | jq '[.series[].points[][1]] | all(. > 0.92 and . < 0.98) and length > 0')" = true
expect "beside how many were flagged" test "$(mean | jq '[.series[].flagged[][1]] | add > 20')" = true
expect "also by label: where all are broken there is no mean" test "$(mean --by site -l site=yard | jq '[.series[].points[]] | length')" = 0
expect "as lines for pipelines" test "$(ctl telemetry query accuracy --release m@2 --since 10m --step 10m --by site -o jsonl | jq -s 'map(select(.labels.site == "yard" and .value == null and .flagged > 0)) | length > 0')" = true
ctl group create lab --selector site=lab >/dev/null
expect "by group" test "$(mean -l group=lab | jq '([.series[].points[]] | length > 0) and ([.series[].flagged[]?] | length == 0)')" = true
expect_code "of one device it says where to ask" 2 "$bin/fleetctl" telemetry query accuracy -l id=g1
expect "namely" grep -q "telemetry latest" "$work/last.err"
expect "what the owner keeps does not leave the device" test "$(latest g1 plates value)$(latest g2 plates value | grep -cv null)" = 1
ctl rollout promote "$rollout" --full --yes --reason "the four sensors are being replaced" >/dev/null || fail "promote"
ctl rollout wait "$rollout" --timeout 60s >/dev/null || fail "it does not complete"

rollout=$(roll_out 3 "$work/gated.yaml")
expect_code "a release that is really bad is taken back, by the good sensors" 5 "$bin/fleetctl" -q rollout wait "$rollout" --timeout 90s
expect "by its accuracy" grep -q "have a mean below 0.9" <(ctl rollout get "$rollout" -o json | jq -r .verdict.reason)
for id in "${good[@]}" "${stuck[@]}"; do expect "$id is back" until_true 30 runs "$id" 2; done
kill "${others[0]}"
silent() { [ "$(latest g3 accuracy flag)" = missing ]; }
expect "a sensor that falls silent is missing" until_true 60 silent
