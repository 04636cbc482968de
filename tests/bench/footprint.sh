#!/bin/bash
# What an agent costs a device: its size, how fast it starts, what it holds in memory idle and at most while 1 GiB comes, what it writes then, how often it wakes.
# What it sends in a day: traffic.sh; what others cost: peers.sh.
# usage: tests/bench/footprint.sh [BIN_DIR]
#   BUILDS="build/bin build-agent-amd64 ..."  folders of agents; default: BIN_DIR's and those of make agent and make agent-static, where they are
#   DELIVER=1024 (MiB)
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$@"
deliver=${DELIVER:-1024}
arch=$(dpkg --print-architecture 2>/dev/null || uname -m)
builds=${BUILDS:-$bin build-agent-$arch build-agent-static-$arch}

# make_device FOLDER ID: enrolled with the server that runs, by the agent $agent.
make_device() {
  mkdir -p "$1"
  [ "$(id -u)" -ne 0 ] || echo 'exec: {run_as: nobody}' >"$1/agent.yaml"
  ctl device token create --id "$2" --hardware cam-a --label "name=$2" >"$1.token"
  "$agent" enroll --root "$1" --server "$devices" --ca "$FLEETCTL_CA" --token-file "$1.token" --id "$2" --hardware cam-a >/dev/null
}
agent_pid=
start_agent() { "$agent" run --root "$1" 2>>"$1.log" & agent_pid=$!; started+=("$agent_pid"); }
stop_agent() { kill "$agent_pid"; wait "$agent_pid" || true; }
of_io() { awk -v name="$1:" '$1 == name {print $2}' "/proc/$agent_pid/io"; }
of_rollup() { awk -v name="$1:" '$1 == name {print $2}' "/proc/$agent_pid/smaps_rollup"; }
peak_kb() { awk '/^VmHWM/ {print $2}' "/proc/$agent_pid/status"; }
mib() { awk -v kb="$1" 'BEGIN {printf "%.1f", kb / 1024}'; }

IDENTITIES=1 seed "$work/server" 0
start_server "$work/server"
use_api "$work/server"
devices=${url%/device/v1/poll}
ctl model create big >/dev/null
mkdir "$work/release"
openssl enc -aes-128-ctr -K "$(printf '%032d' 7)" -iv "$(printf '%032d' 7)" -in /dev/zero 2>/dev/null | head -c "${deliver}M" >"$work/release/model.bin" || true
ctl release publish --model big --version 1 --variant "cam-a=$work/release" -o name >/dev/null
printf 'stages: [{percent: 100}]\non_harm: pause\n' >"$work/policy.yaml"

echo "footprint of the agent; sizes are MiB but for programs, in bytes"
printf '%-28s %10s %8s %8s %8s %8s %8s %8s %8s\n' build stripped start,s RSS PSS anon peak written wakes/s
for folder in $builds; do
  [ -x "$folder/fleet-agent" ] || continue
  name=$(basename "$(dirname "$(realpath "$folder/fleet-agent")")")
  agent=$work/$name.agent/fleet-agent
  mkdir "$work/$name.agent"
  strip -o "$agent" "$folder/fleet-agent"
  strip -o "$work/$name.agent/fleet-unpack" "$folder/fleet-unpack"
  make_device "$work/$name" "$name"
  # Until its socket is there, before which no orders and no samples are taken; median of five.
  for _ in 1 2 3 4 5; do
    rm -f "$work/$name/run/agent.sock"
    from=${EPOCHREALTIME/[.,]/}
    start_agent "$work/$name"
    until [ -S "$work/$name/run/agent.sock" ]; do kill -0 "$agent_pid" && [ $(( ${EPOCHREALTIME/[.,]/} - from )) -lt 30000000 ] || exit 1; done
    echo $(( ${EPOCHREALTIME/[.,]/} - from )) >>"$work/$name.starts"
    nap 1
    stop_agent
  done
  starts=$(median <"$work/$name.starts")
  start_agent "$work/$name"
  nap 20
  rss=$(of_rollup Rss) pss=$(of_rollup Pss) anonymous=$(of_rollup Anonymous)
  wakes() { cat "/proc/$agent_pid/task/"*/status | awk '/^voluntary_ctxt_switches/ {sum += $2} END {print sum}'; }
  woken=$(wakes)
  nap 30
  woken=$(( $(wakes) - woken ))
  before=$(of_io write_bytes)
  rolled=$(ctl rollout create --release big@1 -l "name=$name" --policy "$work/policy.yaml" --start -o name)
  ctl rollout wait "$rolled" --timeout 20m >/dev/null
  written=$(( $(of_io write_bytes) - before ))
  printf '%-28s %10s %8s %8s %8s %8s %8s %8s %8s\n' "$name" "$(stat -c %s "$agent")" "$(awk -v us="$starts" 'BEGIN {printf "%.3f", us / 1e6}')" "$(mib "$rss")" "$(mib "$pss")" \
    "$(mib "$anonymous")" "$(mib "$(peak_kb)")" "$(awk -v w="$written" -v mb="$deliver" 'BEGIN {printf "%.3f", w / mb / 1048576}')" "$(awk -v w="$woken" 'BEGIN {printf "%.2f", w / 30}')"
  stop_agent
  rm -rf "$work/$name"
done
stop_server
