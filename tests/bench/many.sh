#!/bin/bash
# Polls of a server with many rollouts beside the same server with none, in one run: with 20 running rollouts that have told the device, with 20 of other
# devices, with ENDED ended ones of the same 20 models, and with as many of a selector each. `kept` is a poll on a connection that stays, `first` the first
# one of a new connection (TLS resumed), microseconds of server CPU each. And what ENDED ended rollouts cost the judge, a verb, a list and the start.
# usage: tests/bench/many.sh [BIN_DIR]   ENDED=10000 SECONDS_EACH=4 FIRST=3000 ROUNDS=3
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$@"
ended=${ENDED:-10000} seconds=${SECONDS_EACH:-4} first=${FIRST:-3000} rounds=${ROUNDS:-3}
awk '{print} /END CERTIFICATE/ {exit}' "$work/identities.pem" >"$work/one.pem"
# The poll of a device that runs version $2 of $1 models and took directive $3.
poll() {
  python3 - "$@" "$work/release.digest" <<'PY'
import json, os, sys
count, version, sequence, file = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
digest = open(file).read().split() if os.path.exists(file) else []
print(json.dumps({"nonce": "AAAAAAAAAAAAAAAAAAAAAA==", "prior": "", "boot_id": "7d0c5b1e", "directive_sequence": sequence, "wait_s": 0, "report_every_s": 60, "poll_every_s": 900,
                  "clock": "2026-11-20T09:00:00Z", "agent": "0.1.0",
                  "models": {f"m{k + 1}": {"digest": digest[k], "version": version, "state": "idle", "rollout": "", "attempt": 0} for k in range(count)}}))
PY
}
# Microseconds of the server's CPU a poll of body $1, medians of ROUNDS: kept and first.
measure() {
  local kept=() cold=() before line _
  local tls=(--url "$url" --ca "$data/ca.pem" --body "$work/$1")
  "${on_load[@]}" "$bin/fleet-load" "${tls[@]}" --identities "$work/identities.pem" --seconds 1 >/dev/null || true
  for _ in $(seq "$rounds"); do
    before=$(cpu_us "$server_pid")
    line=$("${on_load[@]}" "$bin/fleet-load" "${tls[@]}" --identities "$work/identities.pem" --seconds "$seconds")
    kept+=("$(sed 's/.*requests=\([0-9]*\).*/\1/' <<<"$line" | awk -v us=$(( $(cpu_us "$server_pid") - before )) '{printf "%.1f", us / $1}')")
    before=$(cpu_us "$server_pid")
    "${on_load[@]}" "$bin/fleet-load" "${tls[@]}" --cert "$work/one.pem" --key "$work/one.pem" --handshakes "$first" --resume 1 >/dev/null
    cold+=("$(awk -v us=$(( $(cpu_us "$server_pid") - before )) -v n="$first" 'BEGIN {printf "%.1f", us / n}')")
  done
  printf '%s %s' "$(printf '%s\n' "${kept[@]}" | median)" "$(printf '%s\n' "${cold[@]}" | median)"
}
restart() {
  stop_server
  rm -f "$data/endpoints.json"
  start_server "$data"
  use_api "$data"
}
# Server CPU in milliseconds of a pause and a resume of rollout $1: what every verb costs, as each connection and the judge then decide anew.
verb() {
  local before
  before=$(cpu_us "$server_pid")
  for _ in $(seq 10); do
    ask POST "api/v1/rollouts/$1:pause" '{"reason":"bench"}' >/dev/null
    ask POST "api/v1/rollouts/$1:resume" '{"reason":"bench"}' >/dev/null
  done
  awk -v us=$(( $(cpu_us "$server_pid") - before )) 'BEGIN {printf "%.1f", us / 1000 / 20}'
}
row() { awk -v name="$1" -v now="$2" -v base="$3" 'BEGIN {split(now, n); split(base, b); printf "  %-44s kept %6.1f (%.2f x)   first %7.1f (%.2f x)\n", name, n[1], n[1] / b[1], n[2], n[2] / b[2]}'; }

data=$work/data
seed "$data" 1000
start_server "$data"
use_api "$data"
poll 0 1 0 >"$work/none.json"
none=$(measure none.json)
echo one >"$work/model.bin"
echo two >"$work/model2.bin"
for k in $(seq 20); do
  ctl model create "m$k" >/dev/null
  ctl release publish --model "m$k" --version 1 --variant "cam-a+cam-b=$work/model.bin" -o name >/dev/null
  ctl release publish --model "m$k" --version 2 --variant "cam-a+cam-b=$work/model2.bin" -o name >/dev/null
done
digests() { sqlite3 -readonly "$data/fleet.db" "SELECT lower(hex(digest)) FROM releases WHERE version = '$1' ORDER BY CAST(substr(model, 2) AS INTEGER)" >"$work/release.digest"; }
digests 2
poll 20 2 0 >"$work/models.json"
models=$(measure models.json)
one_stage='{"stages":[{"percent":100}],"on_harm":"pause"}'
begin() { ask POST api/v1/rollouts "{\"model\":\"m$1\",\"version\":\"2\",\"selector\":\"$2\",\"policy\":$one_stage,\"start\":true}" >/dev/null; sed 's/.*"id":"\([^"]*\)".*/\1/' "$work/answer.json"; }
ids=()
for k in $(seq 20); do ids+=("$(begin "$k" "site=none,ring!=$k")"); done
restart
others=$(measure none.json)
others_models=$(measure models.json)
for id in "${ids[@]}"; do ask POST "api/v1/rollouts/$id:abort" '{"reason":"bench"}' >/dev/null; done
ids=()
for k in $(seq 20); do ids+=("$(begin "$k" "")"); done
# Told, and taken: the device says the number of the directive that it holds.
"${on_load[@]}" "$bin/fleet-load" --url "$url" --ca "$data/ca.pem" --identities "$work/identities.pem" --body "$work/models.json" --requests 64 >/dev/null
nap 5
"${on_load[@]}" "$bin/fleet-load" --url "$url" --ca "$data/ca.pem" --identities "$work/identities.pem" --body "$work/models.json" --seconds 2 >/dev/null
sequences=$(sqlite3 -readonly "$data/fleet.db" "SELECT min(directive_sequence) || ' ' || max(directive_sequence) FROM devices WHERE n <= 64")
poll 20 2 "${sequences#* }" >"$work/told.json"
told=$(measure told.json)
judge_few=$(share_of_core "$server_pid" 20) verb_few=$(verb "${ids[0]}") list_few=$(cpu_of_get 20 "api/v1/rollouts?limit=20")

# $1: `same`, as those of 20 models that went on for years; `own`, each of a selector of its own.
fill() {
  python3 - "$data/fleet.db" "$ended" "$1" <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
count, own = int(sys.argv[2]), sys.argv[3] == "own"
columns = [row[1] for row in db.execute("PRAGMA table_info(rollouts)") if row[1] != "n"]
(moment,) = db.execute("SELECT max(moment) FROM rollouts").fetchone()
made = {"id": "'bench-' || ?2 || ?1", "state": "CASE ?1 % 3 WHEN 0 THEN 'aborted' ELSE 'completed' END", "moment": "?1 + ?3", "selector": "CASE WHEN ?4 THEN 'site=' || ?1 ELSE selector END",
        "completed_at": "started_at", "settled_to": "NULL"}
first = db.execute("SELECT min(n) FROM rollouts WHERE state = 'running'").fetchone()[0]
if own:
    db.execute("DELETE FROM rollout_ladders WHERE rollout IN (SELECT n FROM rollouts WHERE id LIKE 'bench-%')")
    db.execute("DELETE FROM rollouts WHERE id LIKE 'bench-%'")
    (moment,) = db.execute("SELECT max(moment) FROM rollouts").fetchone()
for k in range(count):
    db.execute(f"INSERT INTO rollouts ({', '.join(columns)}) SELECT {', '.join(made.get(c, c) for c in columns)} FROM rollouts WHERE n = ?5", (k + 1, sys.argv[3], moment, own, first + k % 20))
    db.execute("INSERT INTO rollout_ladders (rollout, ladder) SELECT (SELECT max(n) FROM rollouts), ladder FROM rollout_ladders WHERE rollout = ?", (first + k % 20,))
db.commit()
PY
}
# Server CPU in milliseconds of its first second: $start_ms.
starts() {
  restart
  nap 1
  start_ms=$(awk -v us="$(cpu_us "$server_pid")" 'BEGIN {printf "%.0f", us / 1000}')
}
starts
start_few=$start_ms
stop_server
fill same
rm -f "$data/endpoints.json"
start_server "$data"
starts
start_same=$start_ms
same=$(measure told.json)
judge_same=$(share_of_core "$server_pid" 20) verb_same=$(verb "${ids[0]}") list_same=$(cpu_of_get 20 "api/v1/rollouts?limit=20")
rare=$(cpu_of_get 20 "api/v1/rollouts?limit=20&state=running")
stop_server
fill own
rm -f "$data/endpoints.json"
start_server "$data"
starts
start_own=$start_ms
own=$(measure told.json)
judge_own=$(share_of_core "$server_pid" 20) verb_own=$(verb "${ids[0]}") list_own=$(cpu_of_get 20 "api/v1/rollouts?limit=20")
stop_server
cat <<TABLE
polls, microseconds of server CPU each, medians of $rounds
$(row "no rollout, no model on the device" "$none" "$none")
$(row "20 rollouts of other devices (target 1.15)" "$others" "$none")
$(row "no rollout, 20 models on the device" "$models" "$models")
$(row "20 rollouts of them, of other devices" "$others_models" "$models")
$(row "20 rollouts that told it (target 1.15)" "$told" "$models")
$(row "and $ended ended ones of the models" "$same" "$told")
$(row "and $ended ended, a selector each" "$own" "$told")
of the server                          20 running   $ended ended   a selector each
  percent of a core, the judge         $judge_few         $judge_same          $judge_own
  ms of CPU, a pause or resume         $verb_few          $verb_same           $verb_own
  ms of CPU, the first 20 of a list    $list_few         $list_same          $list_own
  the same, those that run                          $rare
  ms of CPU, a start                   $start_few           $start_same            $start_own
TABLE
