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
names=(anon,KiB fds threads journal spool metadata rest files)
row() { printf '%-14s %9s %5s %8s %9s %9s %9s %9s %6s\n' "$@"; }
# Bytes of the files below these of state/.
bytes_of() { (cd "$root/state" && find "$@" -type f -printf '%s\n' 2>/dev/null) | awk '{sum += $1} END {print sum + 0}'; }
# Of the update that was just committed: anonymous memory, descriptors, threads, bytes of state/ (its journal, its spool, what of the signed metadata is kept, the
# rest), files below the root.
look() {
  # What an update took is given back within telemetry.interval, and a connection that ended is closed.
  nap 3
  now=($(awk '$1 == "Anonymous:" {print $2}' "/proc/$agent_pid/smaps_rollup") $(ls "/proc/$agent_pid/fd" | wc -l) $(ls "/proc/$agent_pid/task" | wc -l)
    $(bytes_of journal) $(bytes_of spool) $(bytes_of tuf) $(bytes_of . -name journal -prune -o -name spool -prune -o -name tuf -prune -o) $(find "$root" -type f 2>/dev/null | wc -l))
  row "$1" "${now[@]}"
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
row after "${names[@]}"
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
# Of memory a page here and there; of state/ what its files may hold before they begin anew: the journal 256 KiB, each tier of the spool 64. The metadata names each
# release of the models that run here, all that are approved, in some 205 bytes (TUF has one file a role, of which a device takes 5 MB at most: 24,000 releases of a model).
may=(256 0 0 262144 196608 $(( 220 * (updates - 100) )) 1024 0) grew=0
for i in "${!names[@]}"; do
  [ "${now[i]}" -le $(( early[i] + may[i] )) ] || { echo "FAILED: ${names[i]} grew from ${early[i]} to ${now[i]}"; grew=1; }
done
exit "$grew"
