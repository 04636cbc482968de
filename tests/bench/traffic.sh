#!/bin/bash
# What an idle agent sends and receives in a day, by the kernel's own counters: whole IP packets, both ways, acknowledgements and handshakes with them.
# Three devices, each with a server of its own in a network namespace of its own, are watched side by side over WATCH seconds (root). usage: tests/bench/traffic.sh [BIN_DIR]
#   default     agent.yaml as it is without a line: long polls
#   short       long_poll: false; a poll each 130 s, so that it makes a connection of its own as one each 7.5 to 15 minutes does; bytes a poll, times 128 a day
#   health      reports alone, each 130 s, of as many samples as 30 minutes bring of an app that tells three a second; bytes a report, times 48 a day
set -euo pipefail
watch=${WATCH:-285}
if [ "${2:-}" != --inside ]; then
  [ "$(id -u)" -eq 0 ] && unshare -n true || { echo "traffic: left out, a network namespace needs root"; exit 0; }
  results=$(mktemp -d)
  trap 'rm -rf "$results"' EXIT
  for kind in default health short; do unshare -n "$0" "${1:-build/bin}" --inside $kind >"$results/$kind" & done
  wait
  awk -v watch="$watch" '
    { kind = $1; bytes[kind] = $2; packets[kind] = $3; of[kind] = $4; handshakes[kind] = $5 }
    function each(kind) { return sprintf("%d bytes and %.1f packets each, %d handshakes in %d", bytes[kind] / of[kind], packets[kind] / of[kind], handshakes[kind], of[kind]) }
    END {
      if (length(bytes) < 3 || of["default"] * of["health"] * of["short"] == 0) { print "traffic: a case failed"; exit 1 }
      printf "an idle agent over %d s, whole IP packets, both ways, kB a day\n", watch
      # A poll waits for 55 s, and the next begins 0.5 to 1 s later.
      printf "  as it is                  %7.0f (target 1,500): 1,550 polls, %s\n", bytes["default"] / of["default"] * 1.550, each("default")
      printf "  with long_poll: false     %7.0f (target 300): 128 polls, %s\n", bytes["short"] / of["short"] * 0.128, each("short")
      printf "  an app with its health    %7.0f more (target 200): 48 reports, %s\n", bytes["health"] / of["health"] * 0.048, each("health")
    }' "$results"/*
  exit 0
fi
kind=$3
ip link set lo up mtu 1500
. "$(dirname "$0")/lib.sh" "$1"
IDENTITIES=1 seed "$work/server" 0
start_server "$work/server"
use_api "$work/server"
root=$work/device
mkdir -p "$root"
{
  case $kind in  # an idle device's own health is one report a day: not of these minutes
    default) echo 'telemetry: {health: 0s}' ;;
    short) printf 'poll: {interval: 130s, jitter: 0, long_poll: false}\ntelemetry: {health: 0s}\n' ;;
    health) printf 'poll: {interval: 24h, jitter: 0, long_poll: false}\ntelemetry: {interval: 130s}\n' ;;
  esac
  echo 'exec: {run_as: nobody}'
} >"$root/agent.yaml"
ctl device token create --id idle-1 --hardware cam-a >"$work/token"
"$bin/fleet-agent" enroll --root "$root" --server "${url%/device/v1/poll}" --ca "$work/server/ca.pem" --token-file "$work/token" --id idle-1 --hardware cam-a >/dev/null
# It runs one model, of which each poll tells.
ctl model create reader >/dev/null
echo one >"$work/model.bin"
ctl release publish --model reader --version 1.0.0 --variant "cam-a=$work/model.bin" -o name >/dev/null
printf 'stages: [{percent: 100}]\non_harm: pause\n' >"$work/policy.yaml"
rolled=$(ctl rollout create --release reader@1.0.0 --all --policy "$work/policy.yaml" --start -o name)
"$bin/fleet-agent" run --root "$root" 2>"$work/agent.log" &
started+=($!)
ctl rollout wait "$rolled" --timeout 2m >/dev/null
if [ "$kind" = health ]; then
  python3 - "$root/run/statsd.sock" "$(basename "$(readlink "$root/models/reader/current")")" <<'PY' &
import random, socket, sys, time
out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
tag = "|#release:" + sys.argv[2]
while True:
    for _ in range(14):
        out.sendto(f"inferences:1|c{tag}\nlatency_ms:{random.gauss(12, 2):.2f}|ms{tag}\nconfidence:{random.betavariate(8, 2):.3f}|h{tag}".encode(), sys.argv[1])
    time.sleep(1)
PY
  started+=($!)
fi
# Requests and handshakes that the server counted before it is asked.
counted() { curl -s --cacert "$FLEETCTL_CA" -H "@$work/auth" "$FLEETCTL_SERVER/metrics" | awk '/^fleet_net_requests_total / {r = $2} /^fleet_net_handshakes_total / {h = $2} END {print r, h}'; }
read_counters() { awk '/lo:/ {sub(/.*lo:/, ""); print $9, $10}' /proc/net/dev; }
nap 40
read -r requests handshakes < <(counted)
nap 1
read -r bytes packets < <(read_counters)
nap "$watch"
read -r bytes_after packets_after < <(read_counters)
read -r requests_after handshakes_after < <(counted)
# The loopback counts 14 bytes of Ethernet with each packet.
packets=$(( packets_after - packets ))
echo "$kind $(( bytes_after - bytes - 14 * packets )) $packets $(( requests_after - requests - 1 )) $(( handshakes_after - handshakes - 1 ))"
