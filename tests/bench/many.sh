#!/bin/bash
# Polls of a server with many rollouts beside one with none, taken in turns, in one run: with 20 running rollouts of other devices, with 20 that have told
# the device, with ENDED ended ones of the same 20 models, and with as many of a selector each. `kept` is a poll on a connection that stays, `first` the
# first one of a new connection (TLS resumed): microseconds of server CPU, medians, and the median of the rounds' ratios. And what ended rollouts cost the
# judge, a verb, a list and a start. usage: tests/bench/many.sh [BIN_DIR]   ENDED=10000 SECONDS_EACH=1 FIRST=500 ROUNDS=7
set -euo pipefail
. "$(dirname "$0")/lib.sh" "$@"
ended=${ENDED:-10000} seconds=${SECONDS_EACH:-1} first=${FIRST:-500} rounds=${ROUNDS:-7}
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
load() { "${on_load[@]}" "$bin/fleet-load" --url "$1" --ca "$data/ca.pem" --body "$work/$2" "${@:3}"; }
# kept PID URL BODY, first PID URL BODY -> microseconds of the CPU of server PID, a poll
kept() {
  local before line
  before=$(cpu_us "$1")
  line=$(load "$2" "$3" --identities "$work/identities.pem" --seconds "$seconds")
  sed 's/.*requests=\([0-9]*\).*/\1/' <<<"$line" | awk -v us=$(( $(cpu_us "$1") - before )) '{printf "%.1f", us / $1}'
}
first() {
  local before
  before=$(cpu_us "$1")
  load "$2" "$3" --cert "$work/one.pem" --key "$work/one.pem" --handshakes "$first" --resume 1 >/dev/null
  awk -v us=$(( $(cpu_us "$1") - before )) -v n="$first" 'BEGIN {printf "%.1f", us / n}'
}
# compare NAME BODY BODY: the server with no rollout, then the other.
rows=
compare() {
  local how none many none_all many_all ratios
  load "$none_url" "$2" --identities "$work/identities.pem" --seconds 1 >/dev/null
  load "$url" "$3" --identities "$work/identities.pem" --seconds 1 >/dev/null
  rows+=$(printf '  %-44s' "$1")
  for how in kept first; do
    none_all=() many_all=() ratios=()
    for _ in $(seq "$rounds"); do
      none=$("$how" "$none_pid" "$none_url" "$2")
      many=$("$how" "$server_pid" "$url" "$3")
      none_all+=("$none") many_all+=("$many")
      ratios+=("$(awk -v a="$many" -v b="$none" 'BEGIN {printf "%.3f", a / b}')")
    done
    rows+=$(printf '  %s %7s beside %7s: %s x' "$how" "$(printf '%s\n' "${many_all[@]}" | median)" "$(printf '%s\n' "${none_all[@]}" | median)" "$(printf '%s\n' "${ratios[@]}" | median)")
  done
  rows+=$'\n'
  tail -n 1 <<<"${rows%$'\n'}" >&2
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

data=$work/data
seed "$data" 1000
start_server "$data"
use_api "$data"
echo one >"$work/model.bin"
echo two >"$work/model2.bin"
for k in $(seq 20); do
  ctl model create "m$k" >/dev/null
  ctl release publish --model "m$k" --version 1 --variant "cam-a+cam-b=$work/model.bin" -o name >/dev/null
  ctl release publish --model "m$k" --version 2 --variant "cam-a+cam-b=$work/model2.bin" -o name >/dev/null
done
sqlite3 -readonly "$data/fleet.db" "SELECT lower(hex(digest)) FROM releases WHERE version = '2' ORDER BY CAST(substr(model, 2) AS INTEGER)" >"$work/release.digest"
stop_server
rm -f "$data/endpoints.json"
cp -r "$data" "$work/none"
start_server "$work/none"
none_pid=$server_pid none_url=$url
start_server "$data"
use_api "$data"
poll 0 1 0 >"$work/none.json"
poll 20 2 0 >"$work/models.json"
begin() { ask POST api/v1/rollouts "{\"model\":\"m$1\",\"version\":\"2\",\"selector\":\"$2\",\"policy\":{\"stages\":[{\"percent\":100}],\"on_harm\":\"pause\"},\"start\":true}" >/dev/null; sed 's/.*"id":"\([^"]*\)".*/\1/' "$work/answer.json"; }
ids=()
for k in $(seq 20); do ids+=("$(begin "$k" "site=none,ring!=$k")"); done
compare "20 rollouts of others (target 1.15)" none.json none.json
compare "the same, 20 models on the device" models.json models.json
for id in "${ids[@]}"; do ask POST "api/v1/rollouts/$id:abort" '{"reason":"bench"}' >/dev/null; done
ids=()
for k in $(seq 20); do ids+=("$(begin "$k" "")"); done
# Told, and taken: the device says the number of the directive that it holds.
load "$url" models.json --identities "$work/identities.pem" --requests 64 >/dev/null
nap 5
load "$url" models.json --identities "$work/identities.pem" --seconds 2 >/dev/null
sequence=$(sqlite3 -readonly "$data/fleet.db" "SELECT max(directive_sequence) FROM devices WHERE n <= 64")
poll 20 2 "$sequence" >"$work/told.json"
compare "20 rollouts that told it (target 1.15)" models.json told.json
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
compare "and $ended ended ones of the models" models.json told.json
judge_same=$(share_of_core "$server_pid" 20) verb_same=$(verb "${ids[0]}") list_same=$(cpu_of_get 20 "api/v1/rollouts?limit=20")
rare=$(cpu_of_get 20 "api/v1/rollouts?limit=20&state=running")
stop_server
fill own
rm -f "$data/endpoints.json"
start_server "$data"
starts
start_own=$start_ms
compare "and $ended ended, a selector each" models.json told.json
judge_own=$(share_of_core "$server_pid" 20) verb_own=$(verb "${ids[0]}") list_own=$(cpu_of_get 20 "api/v1/rollouts?limit=20")
stop_server
cat <<TABLE
polls, microseconds of server CPU each, beside a server with no rollout
${rows%$'\n'}
of the server                          20 running   $ended ended   a selector each
  percent of a core, the judge         $judge_few         $judge_same          $judge_own
  ms of CPU, a pause or resume         $verb_few          $verb_same           $verb_own
  ms of CPU, the first 20 of a list    $list_few         $list_same          $list_own
  the same, those that run                          $rare
  ms of CPU, a start                   $start_few           $start_same            $start_own
TABLE
