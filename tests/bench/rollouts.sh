#!/bin/bash
# A rollout over DEVICES registered devices: what planning, starting, promoting and rolling back take at the API, and a round of the judge over all of them,
# beside one durable commit of SQLite on this disk, in one run.
# usage: tests/bench/rollouts.sh [BIN_DIR]   DEVICES=100000
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$@"
devices=${DEVICES:-100000}
seed "$work/data" "$devices"
start_server "$work/data"
api=$(sed 's/.*"api":"\([^"]*\)".*/\1/' "$work/data/endpoints.json")
export FLEETCTL_SERVER=$api FLEETCTL_CA=$work/data/ca.pem FLEETCTL_TOKEN_FILE=$work/data/admin.token
ctl() { "$bin/fleetctl" -q "$@"; }
ctl model create m >/dev/null
echo one >"$work/model.bin"
ctl release publish --model m --version 1 --variant "cam-a+cam-b=$work/model.bin" -o name >/dev/null

# Milliseconds of a POST on a connection that is open already.
post_ms() {
  printf 'Authorization: Bearer %s\n' "$(cat "$FLEETCTL_TOKEN_FILE")" >"$work/auth"
  curl -s --cacert "$FLEETCTL_CA" -o /dev/null "$api/healthz" --next -s --fail-with-body --cacert "$FLEETCTL_CA" -H "@$work/auth" -H 'Content-Type: application/json' \
    -d "$2" -o "$work/answer.json" -w '%{time_total}' "$api/api/v1/$1" | awk '{printf "%.1f", $1 * 1000}'
}
policy='{"stages":[{"percent":1,"min_devices":1},{"percent":10,"min_devices":1},{"percent":100}],"on_harm":"pause"}'
plan=$(post_ms rollouts:plan "{\"model\":\"m\",\"version\":\"1\",\"selector\":\"\",\"policy\":$policy}")
create=$(post_ms rollouts "{\"model\":\"m\",\"version\":\"1\",\"selector\":\"\",\"policy\":$policy}")
id=$(sed 's/.*"id":"\([^"]*\)".*/\1/' "$work/answer.json")
start=$(post_ms "rollouts/$id:start" '{}')
promote=$(post_ms "rollouts/$id:promote" '{"reason":"bench"}')
stop_server

# Every device has the release: the judge's round and the way back are over all of them.
commit=$(python3 - "$work/data/fleet.db" "$id" "$work/probe.db" <<'PY'
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1])
(n,) = db.execute("SELECT n FROM rollouts WHERE id = ?", (sys.argv[2],)).fetchone()
now = int(time.time() * 1000)
db.execute("INSERT INTO rollout_devices (rollout, device, stage, stratum, state, outcome, exposed, attempt, dispatched_at, since, silent_at, in_window) SELECT ?, n, 1, hardware, 'healthy', 'healthy', 1, 1, ?, ?, 0, 1 FROM devices WHERE n > 1", (n, now, now))
db.commit()
probe = sqlite3.connect(sys.argv[3], isolation_level=None)
probe.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (x);")
took = []
for k in range(50):
    before = time.perf_counter()
    probe.execute("INSERT INTO t VALUES (?)", (k,))
    took.append(time.perf_counter() - before)
print("%.1f" % (1000 * sorted(took)[len(took) // 2]))
PY
)
rm -f "$work/data/endpoints.json"
start_server "$work/data"
api=$(sed 's/.*"api":"\([^"]*\)".*/\1/' "$work/data/endpoints.json")
nap 5
before=$(cpu_ticks "$server_pid"); nap 20; after=$(cpu_ticks "$server_pid")
judging=$(awk -v t=$(( after - before )) -v hz="$(getconf CLK_TCK)" 'BEGIN {printf "%.1f", 100 * t / hz / 20}')
rollback=$(post_ms "rollouts/$id:rollback" '{"reason":"bench"}')
stop_server
cat <<TABLE
a rollout over $devices devices, milliseconds at the API
  plan (scans all of them)        $plan
  create as planned               $create
  start                           $start (target 50)
  promote                         $promote (target 50)
  roll back, all of them exposed  $rollback
  one durable commit, same disk   $commit
a running rollout that all devices took: the judge uses $judging % of a core
TABLE
