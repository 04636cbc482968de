#!/bin/bash
# A rollout over DEVICES registered devices: what planning, starting and promoting take at the API (medians of 5, wall time), what the judge uses of a core
# while a window is open and once all devices have a row, what showing it costs, and how long reports wait while all of them are found silent; beside one
# durable commit of SQLite on this disk, in one run.
# usage: tests/bench/rollouts.sh [BIN_DIR]   DEVICES=1000000 WATCH=60
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$@"
devices=${DEVICES:-1000000} watch=${WATCH:-60}
seed "$work/data" "$devices"
start_server "$work/data"
use_api "$work/data"
echo one >"$work/model.bin"
policy='{"stages":[{"percent":1,"min_devices":1},{"percent":10,"min_devices":1},{"percent":100}],"on_harm":"pause"}'
plan=() create=() start=() promote=()
for k in 1 2 3 4 5; do
  ctl model create "m$k" >/dev/null
  ctl release publish --model "m$k" --version 1 --variant "cam-a+cam-b=$work/model.bin" -o name >/dev/null
  request="{\"model\":\"m$k\",\"version\":\"1\",\"selector\":\"\",\"policy\":$policy}"
  plan+=("$(ask POST api/v1/rollouts:plan "$request")")
  create+=("$(ask POST api/v1/rollouts "$request")")
  id=$(sed 's/.*"id":"\([^"]*\)".*/\1/' "$work/answer.json")
  start+=("$(ask POST "api/v1/rollouts/$id:start" '{}')")
  if [ "$k" = 5 ]; then
    nap 5  # its first window is open
    window=$(share_of_core "$server_pid" $(( 2 * watch )))
  fi
  promote+=("$(ask POST "api/v1/rollouts/$id:promote" '{"stage":1,"reason":"bench"}')")
  [ "$k" = 5 ] || ask POST "api/v1/rollouts/$id:abort" '{"reason":"bench"}' >/dev/null
done
stop_server

# Every device has a row; the last fiftieth failed. $1: the rest are `healthy`, or were told long ago and are found `silent` as soon as somebody looks.
fill() {
  python3 - "$work/data/fleet.db" "$id" "$1" "$devices" <<'PY'
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1])
db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000;")
(n,) = db.execute("SELECT n FROM rollouts WHERE id = ?", (sys.argv[2],)).fetchone()
now, healthy = int(time.time() * 1000), sys.argv[3] == "healthy"
db.execute("DELETE FROM rollout_devices WHERE rollout = ?", (n,))
state, outcome = ("'healthy'", "'healthy'") if healthy else ("'probation'", "NULL")
db.execute("INSERT INTO rollout_devices (rollout, device, stage, stratum, state, outcome, exposed, attempt, dispatched_at, since, silent_at, in_window, told_s, started_s, code, error) "
           f"SELECT ?1, n, 1, '-', CASE WHEN n <= ?3 THEN {state} ELSE 'failed' END, CASE WHEN n <= ?3 THEN {outcome} ELSE 'failed' END, 1, 1, ?2, ?2, 0, 1, 1, 1, "
           "CASE WHEN n <= ?3 THEN '' ELSE 'health_failed' END, CASE WHEN n <= ?3 THEN NULL ELSE '{\"code\":\"health_failed\"}' END FROM devices WHERE n > 64", (n, now, int(sys.argv[4]) * 49 // 50))
db.execute("INSERT INTO settings (name, value) VALUES ('service_ms', '864000000') ON CONFLICT (name) DO UPDATE SET value = excluded.value")
db.commit()
db.executescript("PRAGMA journal_mode = WAL;")
PY
  rm -f "$work/data/endpoints.json"
}
commit=$(python3 - "$work/probe.db" <<'PY'
import sqlite3, sys, time
probe = sqlite3.connect(sys.argv[1], isolation_level=None)
probe.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (x);")
took = []
for k in range(50):
    before = time.perf_counter()
    probe.execute("INSERT INTO t VALUES (?)", (k,))
    took.append(time.perf_counter() - before)
print("%.1f" % (1000 * sorted(took)[len(took) // 2]))
PY
)
fill healthy
start_server "$work/data"
use_api "$work/data"
nap 5
judging=$(share_of_core "$server_pid" "$watch")
get=$(cpu_of_get 50 "api/v1/rollouts/$id") explain=$(cpu_of_get 50 "api/v1/rollouts/$id/explain")
failed=$(cpu_of_get 20 "api/v1/rollouts/$id/devices?state=failed&limit=100")
stop_server

fill silent
echo '{"boot_id":"7d0c5b1e","tiers":{}}' >"$work/report.json"
reports() {
  "${on_load[@]}" "$bin/fleet-load" --url "${url%poll}reports" --ca "$work/data/ca.pem" --identities "$work/identities.pem" --body "$work/report.json" --connections 8 --seconds 20 |
    sed 's/.*requests=\([0-9]*\).*p50_us=\([0-9]*\) p99_us=\([0-9]*\) max_us=\([0-9]*\).*/\1 \2 \3 \4/' | awk '{printf "p50 %.1f, p99 %.1f, longest %.1f of %d", $2 / 1000, $3 / 1000, $4 / 1000, $1}'
}
silent_now() { sqlite3 -readonly "$work/data/fleet.db" "SELECT coalesce(sum(c.devices), 0) FROM rollout_counts c JOIN rollouts r ON r.n = c.rollout WHERE r.id = '$id' AND c.state = 'silent'"; }
start_server "$work/data"
nap 1
before=$(silent_now)
meanwhile=$(reports)
marked=$(( $(silent_now) - before ))
stop_server
fill healthy
start_server "$work/data"
nap 1
quiet=$(reports)
stop_server
cat <<TABLE
a rollout over $devices devices, milliseconds at the API, medians of 5
  plan (scans all of them)        $(printf '%s\n' "${plan[@]}" | median)
  create as planned               $(printf '%s\n' "${create[@]}" | median)
  start                           $(printf '%s\n' "${start[@]}" | median) (target 50)
  promote                         $(printf '%s\n' "${promote[@]}" | median) (target 50)
  one durable commit, same disk   $commit
percent of a core that the server uses, nothing else to do (target 0.50)
  a window of a hundredth is open $window
  all devices have a row          $judging
milliseconds of the server's CPU, all devices have a row (target 20)
  rollout get                     $get
  rollout explain                 $explain
  its first 100 failed devices    $failed
a report's milliseconds, 8 connections (target 100)
  while $marked rows were found silent in 20 s   $meanwhile
  while none are                  $quiet
TABLE
