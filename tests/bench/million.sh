#!/bin/bash
# A rollout that DEVICES devices took, each with a sample and a history: what verbs, lists and deletions take at the API, and what a verb takes while the
# server works through all those rows behind them. usage: tests/bench/million.sh [BIN_DIR]   DEVICES=1000000
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$@"
devices=${DEVICES:-1000000}
seed "$work/data" "$devices"
start_server "$work/data"
use_api "$work/data"
ctl model create m >/dev/null
echo one >"$work/model.bin"
ctl release publish --model m --version 1 --variant "cam-a+cam-b=$work/model.bin" -o name >/dev/null
policy='{"stages":[{"percent":100}],"on_harm":"pause"}'
plan=$(ask POST api/v1/rollouts:plan "{\"model\":\"m\",\"version\":\"1\",\"selector\":\"\",\"policy\":$policy}")
create=$(ask POST api/v1/rollouts "{\"model\":\"m\",\"version\":\"1\",\"selector\":\"\",\"policy\":$policy,\"start\":true}")
id=$(sed 's/.*"id":"\([^"]*\)".*/\1/' "$work/answer.json")
stop_server
python3 - "$work/data/fleet.db" "$id" <<'PY'
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1])
(n,) = db.execute("SELECT n FROM rollouts WHERE id = ?", (sys.argv[2],)).fetchone()
now = int(time.time() * 1000)
db.execute("INSERT INTO device_models (device, model, running, since) SELECT n, 'm', '1', 0 FROM devices")
db.execute("INSERT INTO rollout_devices (rollout, device, stage, stratum, state, outcome, exposed, attempt, dispatched_at, since, silent_at, in_window) SELECT ?, n, 1, hardware, "
           "CASE WHEN n % 2 THEN 'healthy' ELSE 'probation' END, CASE WHEN n % 2 THEN 'healthy' END, 1, 1, ?, ?, 20000, 1 FROM devices", (n, now, now))
db.execute("INSERT INTO rollout_samples (rollout, device, metric, arm, samples, class, healthy) SELECT ?, n, 'accuracy', 'canary', '{}', 0, 0 FROM devices", (n,))
db.execute("INSERT INTO device_history (device, time, received, model, version, state, attempt) SELECT n, 0, ?, 'm', '1', 'committed', 1 FROM devices", (now,))
db.commit()
PY
rm -f "$work/data/endpoints.json"
start_server "$work/data"
use_api "$work/data"
nap 5
show=$(ask GET "api/v1/rollouts/$id")
metrics=$(ask GET metrics)
label=$(ask PATCH api/v1/devices/bench-70000 '{"labels":{"a":"1"}}')
ask POST api/v1/devices/bench-70001:retire '{"reason":"bench"}' >/dev/null
delete=$(ask DELETE api/v1/devices/bench-70001)
abort=$(ask POST "api/v1/rollouts/$id:abort" '{"reason":"bench"}')
# While the rows of the abort follow piece by piece: a verb, again and again on one connection.
urls=()
for k in $(seq 300); do urls+=("$FLEETCTL_SERVER/api/v1/devices/bench-$(( 70002 + k )):retire"); done
meanwhile=$(curl -s --fail-with-body --cacert "$FLEETCTL_CA" -H "@$work/auth" -H 'Content-Type: application/json' -d '{"reason":"bench"}' -w '%{stderr}%{time_total}\n' "${urls[@]}" 2>&1 >/dev/null |
  sort -n | awk '{t[NR] = $1 * 1000} END {printf "p50 %.1f, p99 %.1f, longest %.1f of %d", t[int(NR * .5) + 1], t[int(NR * .99)], t[NR], NR}')
recall=$(ask POST api/v1/models/m/releases/1:revoke '{"reason":"bench","recall":true}')
stop_server
cat <<TABLE
a rollout that $devices devices took, milliseconds at the API
  plan (scans all of them)        $plan
  create and start                $create
  show it, with its counts        $show
  /metrics                        $metrics
  label one device                $label
  delete one device               $delete
  abort                           $abort (target 50)
  a verb, while its rows follow   $meanwhile (target 50 at p99)
  recall its release              $recall
TABLE
