#!/bin/bash
# The same server, fleet and requests with the database in a file and in PostgreSQL, in one run, beside pgbench on that PostgreSQL. Everything lies in memory and nothing is synced:
# what the engines and the way to them cost, not what a disk does. usage: tests/bench/postgres.sh [BIN_DIR]   DEVICES=10000 SECONDS_EACH=5 CONNECTIONS=64
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
run() {
  start_server "$data"
  measure "$url" "$work/poll.json" >/dev/null 2>&1  # each connection decides once
  polls=$(measure "$url" "$work/poll.json")
  reports=$(measure "${url%poll}reports" "$work/report.json")
  stop_server
  rm -f "$data/endpoints.json"
}
data=$work/data
seed "$data" "$devices"
run
file_polls=$polls file_reports=$reports
psql "$FLEET_TEST_POSTGRES" -qc "CREATE DATABASE bench TEMPLATE template0"
from=$(date +%s.%N)
"$bin/fleet-server" migrate --data "$data" --to "${FLEET_TEST_POSTGRES/postgres\?/bench?}" >"$work/migrated"
moved=$(awk -v a="$from" -v b="$(date +%s.%N)" 'BEGIN {printf "%.1f", b - a}')
run
psql "$FLEET_TEST_POSTGRES" -qc "CREATE DATABASE pgbench TEMPLATE template0"
peer=${FLEET_TEST_POSTGRES/postgres\?/pgbench?}
"$pgbench" -i -q -s 10 "$peer" >/dev/null 2>&1
transactions=$("$pgbench" -N -c 16 -j 2 -T "$seconds" "$peer" 2>/dev/null | sed -n 's/^tps = \([0-9]*\).*/\1/p')
row() { awk -v name="$1" -v a="$2" -v b="$3" 'BEGIN {split(a, x, " "); split(b, y, " "); printf "  %-22s %8d %10d   %8d %10d   %.2f %.2f\n", name, x[1], x[2], y[1], y[2], y[1] / x[1], y[2] / x[2]}'; }
echo "a server of $devices devices, $connections connections: a second, and a second of the server's CPU; PostgreSQL's ratio to the file"
echo "                            file    per CPU   PostgreSQL  per CPU"
row "idle polls" "$file_polls" "$polls"
row "reports" "$file_reports" "$reports"
awk -v a="${reports% *}" -v b="$transactions" 'BEGIN {printf "  reports beside pgbench -N, 16 connections (%d a second): %.2f x\n", b, a / b}'
echo "  migrate: $(head -n 1 "$work/migrated"), $moved s"
