#!/bin/bash
# An agent that lives long, as a real process with a real server: UPDATES updates of a tiny release, one after the other. What it holds in memory, descriptors and
# threads and what lies on its disk is looked at in between; exit 1 where it grew after the 100th. usage: tests/bench/endurance.sh [BIN_DIR]
#   UPDATES=1000  AGENT=FOLDER (of another agent)
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$@"
updates=${UPDATES:-1000}
agent=$(realpath "${AGENT:-$bin}")/fleet-agent
root=$work/device
mkdir -p "$root"
printf 'poll: {interval: 1s, jitter: 0}\ntelemetry: {interval: 1s}\n' >"$root/agent.yaml"
[ "$(id -u)" -ne 0 ] || echo 'exec: {run_as: nobody}' >>"$root/agent.yaml"
# Of the update that was just committed: anonymous memory (KiB), descriptors, threads, bytes of state/, files below the root.
look() {
  # What an update took is given back within telemetry.interval, and a connection that ended is closed.
  nap 3
  now=($(awk '$1 == "Anonymous:" {print $2}' "/proc/$agent_pid/smaps_rollup") $(ls "/proc/$agent_pid/fd" | wc -l) $(ls "/proc/$agent_pid/task" | wc -l)
    $(du -sb "$root/state" 2>/dev/null | cut -f1) $(find "$root" -type f 2>/dev/null | wc -l))
  printf '%-16s %10s %6s %8s %10s %6s\n' "$1" "${now[@]}"
}
IDENTITIES=1 seed "$work/server" 0
start_server "$work/server"
use_api "$work/server"
ctl device token create --id long-1 --hardware cam-a >"$work/token"
"$agent" enroll --root "$root" --server "${url%/device/v1/poll}" --ca "$work/server/ca.pem" --token-file "$work/token" --id long-1 --hardware cam-a >/dev/null
"$agent" run --root "$root" 2>"$work/agent.log" &
agent_pid=$!
started+=("$agent_pid")
ctl model create tiny >/dev/null
printf 'stages: [{percent: 100}]\non_harm: pause\n' >"$work/policy.yaml"
mkdir "$work/release"
printf '%-16s %10s %6s %8s %10s %6s\n' after anon,KiB fds threads state,B files
begun=$SECONDS early=()
for n in $(seq "$updates"); do
  echo "release $n" >"$work/release/model.bin"
  ctl release publish --model tiny --version "$n" --variant "cam-a=$work/release" -o name >/dev/null
  ctl rollout wait "$(ctl rollout create --release "tiny@$n" --all --policy "$work/policy.yaml" --start -o name)" --timeout 2m >/dev/null
  case $n in
    20 | 250 | 500 | 750 | "$updates") look "$n updates" ;;
    100)
      look "$n updates"
      early=("${now[@]}")
      ;;
  esac
done
echo "$updates updates in $((SECONDS - begun)) s"
[ "$(cat "$root/models/tiny/current/model.bin")" = "release $updates" ]
[ ${#early[@]} -gt 0 ] || exit 0
# Of memory a page here and there; of state/ what its files may hold before they begin anew: the journal 256 KiB, a tier of the spool 64.
may=(256 0 0 327680 0) names=(memory descriptors threads state files) grew=0
for i in "${!names[@]}"; do
  [ "${now[i]}" -le $(( early[i] + may[i] )) ] || { echo "FAILED: ${names[i]} grew from ${early[i]} to ${now[i]}"; grew=1; }
done
exit "$grew"
