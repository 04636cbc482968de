#!/bin/bash
# An idle device with a server in reach: how often its agent wakes, and what it writes in a day, by the kernel's own counts (/proc: voluntary context
# switches of all its threads, write_bytes) over WATCH seconds with at least one whole long poll in them. usage: tests/bench/idle.sh [BIN_DIR]   WATCH=110
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$@"
watch=${WATCH:-110}
seed "$work/server" 1
start_server "$work/server"
export FLEETCTL_SERVER FLEETCTL_CA="$work/server/ca.pem" FLEETCTL_TOKEN_FILE="$work/server/admin.token"
FLEETCTL_SERVER=$(sed 's/.*"api":"\([^"]*\)".*/\1/' "$work/server/endpoints.json")
mkdir -p "$work/device"
[ "$(id -u)" -ne 0 ] || echo 'exec: {run_as: nobody}' >"$work/device/agent.yaml"
"$bin/fleetctl" -q device token create --id idle-1 --hardware cam-a >"$work/token"
"$bin/fleet-agent" enroll --root "$work/device" --server "${url%/device/v1/poll}" --ca "$work/server/ca.pem" --token-file "$work/token" --id idle-1 --hardware cam-a >/dev/null
"$bin/fleet-agent" run --root "$work/device" 2>"$work/agent.log" &
agent_pid=$!
started+=("$agent_pid")
nap 5
wakes() { cat "/proc/$agent_pid/task/"*/status | awk '/^voluntary_ctxt_switches/ {sum += $2} END {print sum}'; }
written() { awk '/^write_bytes/ {print $2}' "/proc/$agent_pid/io"; }
wakes_before=$(wakes) written_before=$(written)
nap "$watch"
woken=$(( $(wakes) - wakes_before )) bytes=$(( $(written) - written_before ))
cat <<TABLE
an idle agent, over $watch s
  wakes a second                  $(awk -v n="$woken" -v s="$watch" 'BEGIN {printf "%.2f", n / s}') (target 1.00)
  written in a day                $(( bytes * 86400 / watch / 1024 )) KiB (target 2,048)
  resident                        $(memory_kb "$agent_pid") KiB
TABLE
kill "$agent_pid"
wait "$agent_pid" || true
stop_server
