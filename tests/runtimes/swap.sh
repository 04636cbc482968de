#!/usr/bin/env bash
# Readers of digits with onnxruntime, LiteRT and Triton on one device, at work all the while: releases come, one of each does not load. Every inference is counted: none fails,
# none is by the model and labels of two releases. usage: swap.sh BIN RUNTIMES-VENV TRITON-VENV
. "$(dirname "$0")/../e2e/lib.sh"
. "$here/../e2e/swap.lib.sh"
python=$(cd "$2" && pwd)/bin/python
triton=$(cd "$3" && pwd)
server=$(echo "$triton"/lib/python3*/site-packages/pytriton/tritonserver)
releases=${RELEASES:-5}
init_server; start_server
for model in onnx litert reader; do ctl model create $model >/dev/null; done
new_agent d1
for app in onnx litert; do printf '#!/bin/sh\nexec %s -B %s/%s_reader.py "$@"\n' "$python" "$apps" $app >"$work/$app"; done
printf '#!/bin/sh\nexec python3 -B %s/triton_load.py "$@"\n' "$apps" >"$work/triton"
chmod 755 "$work/onnx" "$work/litert" "$work/triton"
mkdir "$work/repository"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
sed -i '/^exec/d' "$work/d1/agent.yaml"
cat >>"$work/d1/agent.yaml" <<YAML
exec: {run_as: $(id -un), programs: {onnx: $work/onnx, litert: $work/litert, triton: $work/triton, only_reader: $work/only_reader}, environment: {TRITON_URL: "http://127.0.0.1:$port", TRITON_REPOSITORY: $work/repository}}
hooks: {switched: [only_reader], removed: [only_reader, --unload]}
YAML
printf '#!/bin/sh\n[ "$FLEET_MODEL" != reader ] || exec %s "$@"\n' "$work/triton" >"$work/only_reader"; chmod 755 "$work/only_reader"
start_agent d1

# The same networks for all three: two of them, and labels of their own for each release.
for v in $(seq "$releases"); do
  network=$meter/releases/$((v % 2 + 1)).0.0/cam-a/model.onnx
  for model in onnx litert reader; do mkdir -p "$work/$model.$v"; label "$work/$model.$v" "$model$v"; done
  cp "$network" "$work/onnx.$v/model.onnx"
  "$python" "$apps/to_tflite.py" "$network" "$work/litert.$v/model.tflite" || fail "to TFLite"
  mkdir "$work/reader.$v/1"; cp "$apps/triton/config.pbtxt" "$work/reader.$v/"; cp "$apps/triton/model.py" "$work/reader.$v/1/"
  "$python" -c 'import sys, numpy, onnx; from onnx import numpy_helper as h; numpy.savez(sys.argv[2], **{o.name: h.to_array(o) for o in onnx.load(sys.argv[1]).graph.initializer})' "$network" "$work/reader.$v/weights.npz" || fail "to NumPy"
  head -n 20 "$work/rows.csv" >"$work/in.csv"
  for model in onnx litert; do
    mkdir "$work/$model.$v/golden"; cp "$work/in.csv" "$work/$model.$v/golden/"
    FLEET_SLOT=$work/$model.$v FLEET_INPUTS=$work/in.csv FLEET_OUTPUT=$work/$model.$v/golden/out.csv "$work/$model" --golden 2>/dev/null || fail "$model reads nothing"
  done
done

mkdir -p "$work/d1/models/onnx" "$work/d1/models/litert"
cp "$server/python_backend_stubs/$("$triton/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')/triton_python_backend_stub" "$server/backends/python/" || fail "no stub of Triton for this Python"
PATH="$triton/bin:$PATH" "$server/bin/tritonserver" --model-repository="$work/repository" --model-control-mode=explicit --backend-directory="$server/backends" \
  --http-address 127.0.0.1 --http-port "$port" --allow-grpc=false --allow-metrics=false >"$work/triton.log" 2>&1 & triton_pid=$!; others+=($triton_pid)
until_true 60 curl -sf -o /dev/null "http://127.0.0.1:$port/v2/health/ready" || { tail -n 5 "$work/triton.log"; fail "Triton does not start"; }
declare -A app=()
for model in onnx litert; do
  "$python" -B "$apps/${model}_reader.py" --root "$work/d1" --model $model --rows "$work/rows.csv" --journal "$work/$model.journal" >"$work/$model.log" 2>&1 & app[$model]=$!; others+=($!)
done

roll_all() { # roll_all VERSION: to all three, at once
  local rollouts=() rollout
  for model in onnx litert reader; do rollouts+=("$(ctl rollout create --release "$model@$1" --all --policy "$work/policy.yaml" --start -o name)"); done
  for rollout in "${rollouts[@]}"; do ctl rollout wait "$rollout" --timeout 120s || return 1; done
}
evidence='probation: {time: 1s, inferences: 200, max: 60s}'
ready="health: [{http: \"http://127.0.0.1:$port/v2/models/reader/ready\", every: 1s}]"
load='activate: {exec: [triton], timeout: 2m}'
for v in $(seq "$releases"); do
  for model in onnx litert; do
    publish_reader $model "$v" "$work/$model.$v" "golden: {command: [$model, --golden], timeout: 60s, inputs: golden/in.csv, expect: golden/out.csv, tolerance: 1e-3}
$evidence"
  done
  # The first has nobody who asks yet: its proof is that Triton has it.
  publish_reader reader "$v" "$work/reader.$v" "$load
$ready
$([ "$v" -eq 1 ] && echo 'probation: {time: 1s, max: 60s}' || echo "$evidence")"
  expect "release $v of all three is switched to" roll_all "$v"
  if [ "$v" -eq 1 ]; then
    python3 -B "$apps/triton_reader.py" --triton "127.0.0.1:$port" --root "$work/d1" --rows "$work/rows.csv" --journal "$work/reader.journal" >"$work/reader.log" 2>&1 & app[reader]=$!; others+=($!)
  fi
  for model in onnx litert; do expect_of $model "$v" "$work/$model.$v" "$work/$model" --golden 2>/dev/null; done
  cp "$work/onnx.$v/model.onnx" "$work/reader.$v/"; expect_of reader "$v" "$work/reader.$v" "$work/onnx" --golden
done

# One of each that its runtime does not load.
bad=$((releases + 1))
for model in onnx litert reader; do cp -r "$work/$model.1" "$work/$model.$bad"; rm -rf "$work/$model.$bad/golden" "$work/$model.$bad/model.onnx"; done
cp "$work/onnx.1/model.onnx" "$work/onnx.$bad/"; echo 'one' >"$work/onnx.$bad/labels.txt"
head -c 500 "$work/litert.1/model.tflite" >"$work/litert.$bad/model.tflite"
echo 'no weights' >"$work/reader.$bad/weights.npz"
declare -A wanted=([onnx]=probation_timeout [litert]=probation_timeout [reader]=activate_failed) bad_rollout=()
for model in onnx litert; do publish_reader $model $bad "$work/$model.$bad" 'probation: {time: 500ms, inferences: 1, max: 3s}'; done
publish_reader reader $bad "$work/reader.$bad" "$load"
for model in onnx litert reader; do bad_rollout[$model]=$(ctl rollout create --release "$model@$bad" --all --policy "$work/policy.yaml" --start -o name); done
failed_with() { ctl rollout devices "$1" -o json | jq -e --arg c "$2" '.items[0].error.code == $c' >/dev/null; }
for model in onnx litert reader; do expect "$model: what does not load is ${wanted[$model]}, and goes back" until_true 60 failed_with "${bad_rollout[$model]}" "${wanted[$model]}"; done
grew() { [ "$(wc -c <"$work/$1.journal/thread-0")" -gt "$2" ]; }
goes_on() { kill -0 "${app[$1]}" && until_true 30 grew "$1" "$(wc -c <"$work/$1.journal/thread-0")"; }
for model in onnx litert reader; do expect "$model goes on with the one before" goes_on $model; done
kill -TERM "${app[@]}"; wait "${app[@]}"
for model in onnx litert reader; do tail -n 1 "$work/$model.log"; expect "$model: none failed, none mixed" counted $model "$work/$model.journal" "$releases"; done
kill "$triton_pid"
