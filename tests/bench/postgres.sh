#!/bin/bash
# The same server, fleet and requests with the database in a file and in PostgreSQL, in one run, beside pgbench on that PostgreSQL and beside the statements of reports alone, as SQL
# that takes 64 devices at once. Everything lies in memory and nothing is synced: what the engines and the way to them cost, not what a disk does. usage: tests/bench/postgres.sh [BIN_DIR]   DEVICES=10000 SECONDS_EACH=5 CONNECTIONS=64
set -euo pipefail
[ -n "${FLEET_TEST_POSTGRES:-}" ] || exec "$(dirname "$0")/../support/with_postgres" "$0" "$@"
[ -d /dev/shm ] && export TMPDIR=/dev/shm
IDENTITIES=1000
. "$(dirname "$0")/lib.sh" "$@"
devices=${DEVICES:-10000} seconds=${SECONDS_EACH:-5} connections=${CONNECTIONS:-64}
pgbench=$(find /usr/lib/postgresql -name pgbench | sort -V | tail -n 1)
echo '{"nonce":"AAAAAAAAAAAAAAAAAAAAAA==","prior":"","boot_id":"7d0c5b1e","directive_sequence":0,"wait_s":0,"report_every_s":60,"poll_every_s":900,"clock":"2026-11-20T09:00:00Z","agent":"0.1.0","models":{}}' >"$work/poll.json"
echo '{"boot_id":"7d0c5b1e","tiers":{}}' >"$work/report.json"
# measure URL BODY -> requests a second, requests a second of server CPU
measure() {
  local before line answered
  before=$(cpu_us "$server_pid")
  line=$("${on_load[@]}" "$bin/fleet-load" --url "$1" --ca "$data/ca.pem" --identities "$work/identities.pem" --body "$2" --connections "$connections" --seconds "$seconds")
  echo "$line" >&2
  answered=$(sed 's/.*requests=\([0-9]*\).*/\1/' <<<"$line")
  awk -v n="$answered" -v s="$seconds" -v us=$(( $(cpu_us "$server_pid") - before )) 'BEGIN {printf "%.0f %.0f", n / s, n * 1e6 / us}'
}
# The devices of the load have rows in a running rollout, at work; it selects others, so that their polls stay idle.
join_rollout() {
  start_server "$data"
  use_api "$data"
  echo one >"$work/model.bin"
  ctl model create reader >/dev/null
  ctl release publish --model reader --version 1 --variant "cam-a+cam-b=$work/model.bin" -o name >/dev/null
  ask POST api/v1/rollouts '{"model":"reader","version":"1","selector":"site=99","policy":{"stages":[{"percent":100}],"on_harm":"pause"}}' >/dev/null
  rollout=$(sed 's/.*"id":"\([^"]*\)".*/\1/' "$work/answer.json")
  ask POST "api/v1/rollouts/$rollout:start" '{}' >/dev/null
  stop_server
  python3 - "$data/fleet.db" "$rollout" "$IDENTITIES" <<'PY'
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1])
(n,) = db.execute("SELECT n FROM rollouts WHERE id = ?", (sys.argv[2],)).fetchone()
db.execute("INSERT INTO rollout_devices (rollout, device, stage, stratum, state, exposed, attempt, dispatched_at, since, silent_at, in_window, told_s, started_s) "
           "SELECT ?1, n, 1, '-', 'probation', 1, 1, ?2, ?2, 9000000000000, 1, 1, 1 FROM devices WHERE n <= ?3", (n, int(time.time() * 1000), int(sys.argv[3])))
db.commit()
PY
  rm -f "$data/endpoints.json"
  item="{\"sequence\":1000000000,\"type\":\"update\",\"at\":\"2026-11-20T09:30:00.000Z\",\"model\":\"reader\",\"version\":\"1\",\"digest\":\"\",\"rollout\":\"$rollout\",\"attempt\":1,"
  item+="\"state\":\"probation\",\"running_version\":\"1\",\"running_digest\":\"\",\"error\":null}"
  echo "{\"boot_id\":\"7d0c5b1e\",\"tiers\":{\"critical\":{\"items\":[$item]}}}" >"$work/result.json"
}
run() {
  start_server "$data"
  measure "$url" "$work/poll.json" >/dev/null 2>&1  # each connection decides once
  polls=$(measure "$url" "$work/poll.json")
  reports=$(measure "${url%poll}reports" "$work/report.json")
  results=$(measure "${url%poll}reports" "$work/result.json")
  stop_server
  rm -f "$data/endpoints.json"
}
data=$work/data
seed "$data" "$devices"
join_rollout
run
file_polls=$polls file_reports=$reports file_results=$results
psql "$FLEET_TEST_POSTGRES" -qc "CREATE DATABASE bench TEMPLATE template0"
from=$(date +%s.%N)
"$bin/fleet-server" migrate --data "$data" --to "${FLEET_TEST_POSTGRES/postgres\?/bench?}" >"$work/migrated"
moved=$(awk -v a="$from" -v b="$(date +%s.%N)" 'BEGIN {printf "%.1f", b - a}')
run
psql "$FLEET_TEST_POSTGRES" -qc "CREATE DATABASE pgbench TEMPLATE template0"
peer=${FLEET_TEST_POSTGRES/postgres\?/pgbench?}
"$pgbench" -i -q -s 10 "$peer" >/dev/null 2>&1
transactions=$("$pgbench" -N -c 16 -j 2 -T "$seconds" "$peer" 2>/dev/null | sed -n 's/^tps = \([0-9]*\).*/\1/p')
# What a report of a rollout reads and writes (but for the history's end, which is cut each 64 items), for 64 devices a transaction, on one connection: as many as a server writes on.
cat >"$work/sets.sql" <<SQL
\\set a random(0, $IDENTITIES / 64 - 1) * 64 + 1
\\set b :a + 63
BEGIN;
SELECT n, id, hardware, labels, cache IS NOT NULL FROM devices WHERE state = 'active' AND n = ANY(ARRAY(SELECT generate_series(CAST(:a AS BIGINT), CAST(:b AS BIGINT))));
SELECT m.device, m.model, m.running, l.n FROM device_models m LEFT JOIN releases l ON l.model = m.model AND l.version = m.running AND l.digest = m.running_digest WHERE m.device = ANY(ARRAY(SELECT generate_series(CAST(:a AS BIGINT), CAST(:b AS BIGINT))));
SELECT device, tier, acked FROM device_tiers WHERE device = ANY(ARRAY(SELECT generate_series(CAST(:a AS BIGINT), CAST(:b AS BIGINT))));
SELECT device, state, exposed, attempt, kind, arm, in_window, outcome, tries FROM rollout_devices WHERE rollout = 1 AND device = ANY(ARRAY(SELECT generate_series(CAST(:a AS BIGINT), CAST(:b AS BIGINT))));
INSERT INTO device_history (device, time, received, model, version, state, rollout, attempt) SELECT n, 1, 1, 'reader', '1', 'probation', '$rollout', 1 FROM generate_series(CAST(:a AS BIGINT), CAST(:b AS BIGINT)) AS n;
UPDATE rollout_devices SET state = 'probation', exposed = 1, silent_at = :a FROM generate_series(CAST(:a AS BIGINT), CAST(:b AS BIGINT)) AS n WHERE rollout = 1 AND device = n;
INSERT INTO device_models (device, model, running, version, state, rollout, attempt, since) SELECT n, 'reader', '1', '1', 'probation', '$rollout', 1, 1 FROM generate_series(CAST(:a AS BIGINT), CAST(:b AS BIGINT)) AS n ON CONFLICT (device, model) DO UPDATE SET running = excluded.running, state = excluded.state, rollout = excluded.rollout, attempt = excluded.attempt;
INSERT INTO device_tiers (device, tier, acked) SELECT n, 'critical', 1 FROM generate_series(CAST(:a AS BIGINT), CAST(:b AS BIGINT)) AS n ON CONFLICT (device, tier) DO UPDATE SET acked = excluded.acked;
UPDATE contacts SET seen_at = seen_at + 1 FROM generate_series(CAST(:a AS BIGINT), CAST(:b AS BIGINT)) AS n WHERE device = n;
COMMIT;
SQL
sets=$("$pgbench" -n -M prepared -c 1 -T "$seconds" -f "$work/sets.sql" "${FLEET_TEST_POSTGRES/postgres\?/bench?}" 2>"$work/sets.log" | sed -n 's/^tps = \([0-9.]*\).*/\1/p')
[ -n "$sets" ] || { cat "$work/sets.log" >&2; exit 1; }
row() { awk -v name="$1" -v a="$2" -v b="$3" 'BEGIN {split(a, x, " "); split(b, y, " "); printf "  %-22s %8d %10d   %8d %10d   %.2f %.2f\n", name, x[1], x[2], y[1], y[2], y[1] / x[1], y[2] / x[2]}'; }
echo "a server of $devices devices, $connections connections: a second, and a second of the server's CPU; PostgreSQL's ratio to the file"
echo "                            file    per CPU   PostgreSQL  per CPU"
row "idle polls" "$file_polls" "$polls"
row "reports of nothing" "$file_reports" "$reports"
row "reports of a rollout" "$file_results" "$results"
awk -v a="${reports% *}" -v r="${results% *}" -v b="$transactions" -v s="$sets" 'BEGIN {
  printf "  beside pgbench -N, 16 connections (%d a second): reports of nothing %.2f x, of a rollout %.2f x\n", b, a / b, r / b
  printf "  beside the statements alone, 64 devices at once (%d reports a second, %.2f x pgbench -N): reports of a rollout %.2f x\n", 64 * s, 64 * s / b, r / 64 / s}'
echo "  migrate: $(head -n 1 "$work/migrated"), $moved s"
