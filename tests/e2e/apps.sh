#!/usr/bin/env bash
# Apps whose model is switched under load by a real agent: the C++ camera with OpenCV, and a Python one by fleet_device. Every inference is counted: none fails, none is by the model
# and labels of two releases; what does not load leaves the old one at work.
. "$(dirname "$0")/lib.sh"
. "$here/swap.lib.sh"
[ -x "$bin/meter-reader" ] || { echo "the examples were not built"; exit 77; }
init_server; start_server
for model in camera linear; do ctl model create $model >/dev/null; done
new_agent d1
install -m 755 "$bin/meter-reader" "$work/meter-reader"
cp -r "$repo/examples/python" "$work/python"  # where the user of releases may read it
sed -i '/^exec/d' "$work/d1/agent.yaml"
printf 'exec: {%sprograms: {camera: %s, linear: %s}}\n' "$([ "$(id -u)" -ne 0 ] || echo 'run_as: nobody, ')" "$work/meter-reader" "$work/python/apps/linear.py" >>"$work/d1/agent.yaml"
start_agent d1

# Releases of the camera: two networks, three sets of labels.
for v in 1 2 3; do cp -r "$meter/releases/$((v % 2 + 1)).0.0/cam-a" "$work/camera.$v"; label "$work/camera.$v" "camera$v"; done
# Of the linear one: nearest means of the digits, learnt from another third of them each.
python3 - "$meter/data/digits.csv.gz" "$work" <<'PY'
import gzip, json, os, sys
rows = [[float(c) for c in line.split(",")] for line in gzip.open(sys.argv[1], "rt")]
for version in (1, 2, 3):
    folder = "{}/linear.{}".format(sys.argv[2], version)
    os.mkdir(folder)
    weights = []
    for digit in range(10):
        of = [row[:64] for row in rows[version::3] if int(row[64]) == digit]
        mean = [sum(column) / len(of) / 16 for column in zip(*of)]
        weights.append(mean + [-sum(x * x for x in mean) / 2])
    json.dump(weights, open(folder + "/weights.json", "w"))
PY
for v in 1 2 3; do label "$work/linear.$v" "linear$v"; done

mkdir -p "$work/d1/models/camera" "$work/d1/models/linear"
"$work/meter-reader" --current "$work/d1/models/camera/current" --field "$work/rows.csv" --statsd "$work/d1/run/statsd.sock" --per-second 2000 --journal "$work/camera.journal" >"$work/camera.log" 2>&1 & camera=$!; others+=($camera)
python3 "$work/python/apps/linear.py" --root "$work/d1" --model linear --rows "$work/rows.csv" --journal "$work/linear.journal" --port-file "$work/port" >"$work/linear.log" 2>&1 & linear=$!; others+=($linear)
until_true 10 test -s "$work/port" || { cat "$work/linear.log"; fail "the linear reader does not start"; }
camera_alone() { # the camera's own test gives the probabilities; the label is the likeliest's
  awk -F, -v OFS=, '{ for (i = 1; i <= 64; ++i) $i /= 16; NF = 64; print }' "$FLEET_INPUTS" >"$work/scaled.csv"
  FLEET_INPUTS=$work/scaled.csv FLEET_OUTPUT=$FLEET_OUTPUT.raw "$work/meter-reader" --golden &&
    awk -F, -v name="$1" '{ best = 1; for (i = 2; i <= 10; ++i) if ($i + 0 > $best + 0) best = i; print name "-" (best - 1) "," $0 }' "$FLEET_OUTPUT.raw" >"$FLEET_OUTPUT"
}
for v in 1 2 3; do
  publish_reader camera $v "$work/camera.$v" "golden: {command: [camera, --golden], timeout: 30s, inputs: golden/in.csv, expect: golden/out.csv, tolerance: 1e-4}
$evidence"
  publish_reader linear $v "$work/linear.$v" "health: [{http: \"http://127.0.0.1:$(cat "$work/port")/healthz\", every: 500ms}]
$evidence"
  rollouts=(); for model in camera linear; do rollouts+=("$(ctl rollout create --release "$model@$v" --all --policy "$work/policy.yaml" --start -o name)"); done
  for rollout in "${rollouts[@]}"; do expect "release $v is proved by what it reads" ctl rollout wait "$rollout" --timeout 60s; done
  expect_of camera $v "$work/camera.$v" camera_alone "camera$v"
  expect_of linear $v "$work/linear.$v" python3 "$work/python/apps/linear.py" --golden
done
# One that the runtime cannot load: nobody reads with it, so it is not proved, and goes back.
mkdir "$work/linear.4"; echo '[[1]]' >"$work/linear.4/weights.json"; label "$work/linear.4" linear4
publish_reader linear 4 "$work/linear.4" 'probation: {time: 500ms, inferences: 1, max: 2s}'
rollout=$(ctl rollout create --release linear@4 --all --policy "$work/policy.yaml" --start -o name)
back() { ctl rollout devices "$rollout" -o json | jq -e '.items[0].error.code == "probation_timeout"' >/dev/null; }
expect "a release that does not load is not proved" until_true 30 back
expect "and the one before it is what runs" until_true 10 grep -q 'kept the one before' "$work/linear.log"
kill -TERM $camera $linear; wait $camera $linear
expect "the camera: none failed, none mixed" counted camera "$work/camera.journal" 3
expect "the Python one: none failed, none mixed" counted linear "$work/linear.journal" 3
