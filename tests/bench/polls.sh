#!/bin/bash
# Real polls and reports against a real fleet-server with DEVICES registered ones, beside nginx `return 200` of the same size, in one run: requests per second of
# server CPU with nothing to do and with reports that are on the disk when they are answered, its growth from a fleet of 1,000, memory of the server and of each parked long poll.
# usage: tests/bench/polls.sh [BIN_DIR]   DEVICES=100000 SECONDS_EACH=4 CONNECTIONS=64 PARKED=1000 PARKED_MORE=9000
set -euo pipefail
IDENTITIES=$(( ${PARKED:-1000} + ${PARKED_MORE:-9000} ))
. "$(dirname "$0")/lib.sh" "$@"
devices=${DEVICES:-100000} seconds=${SECONDS_EACH:-4} connections=${CONNECTIONS:-64} parked=${PARKED:-1000} parked_more=${PARKED_MORE:-9000}
nginx=$(command -v nginx || echo /usr/sbin/nginx)
poll() { echo "{\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAA==\",\"prior\":\"\",\"boot_id\":\"7d0c5b1e\",\"directive_sequence\":0,\"wait_s\":$1,\"report_every_s\":60,\"poll_every_s\":900,\"clock\":\"2026-11-20T09:00:00Z\",\"agent\":\"0.1.0\",\"models\":{}}"; }
poll 0 >"$work/poll.json"
poll 55 >"$work/long.json"

# Requests per second of CPU of process $1; the rest is for fleet-load.
measure() {
  local pid=$1 before after line
  shift
  before=$(cpu_ticks "$pid")
  line=$("${on_load[@]}" "$bin/fleet-load" "$@" --connections "$connections" --seconds "$seconds")
  after=$(cpu_ticks "$pid")
  echo "$line" >&2
  local answered
  answered=$(sed 's/.*requests=\([0-9]*\).*/\1/' <<<"$line")
  echo $(( answered * $(getconf CLK_TCK) / (after - before > 0 ? after - before : 1) ))
}

seed "$work/small" 1000
start_server "$work/small"
small=$(measure "$server_pid" --url "$url" --ca "$work/small/ca.pem" --identities "$work/identities.pem" --body "$work/poll.json")
stop_server
seed "$work/large" "$devices"
start_server "$work/large"
tls=(--url "$url" --ca "$work/large/ca.pem" --identities "$work/identities.pem")
large=$(measure "$server_pid" "${tls[@]}" --body "$work/poll.json")
echo '{"boot_id":"7d0c5b1e","tiers":{}}' >"$work/report.json"
reports=$(measure "$server_pid" --url "${url%poll}reports" --ca "$work/large/ca.pem" --identities "$work/identities.pem" --body "$work/report.json")
base_kb=$(memory_kb "$server_pid")

park() {
  "${on_load[@]}" "$bin/fleet-load" --url "$url" --ca "$work/large/ca.pem" --identities "$2" --body "$work/long.json" --connections "$1" --seconds 50 >"$work/park.log" 2>&1 &
  started+=("$!")
}
open_fds() { find "/proc/$server_pid/fd" -mindepth 1 2>/dev/null | wc -l; }
wait_for_fds() { for _ in $(seq 400); do [ "$(open_fds)" -ge "$1" ] && break; nap 0.1; done; nap 1; }
split_at=$(awk -v n="$parked" '/END CERTIFICATE/ && ++seen == n {print NR; exit}' "$work/identities.pem")
head -n "$split_at" "$work/identities.pem" >"$work/first.pem"
tail -n +"$(( split_at + 1 ))" "$work/identities.pem" >"$work/more.pem"
park "$parked" "$work/first.pem"
wait_for_fds "$parked"
parked_kb=$(memory_kb "$server_pid")
park "$parked_more" "$work/more.pem"
wait_for_fds $(( parked + parked_more ))
more_kb=$(memory_kb "$server_pid")

ratio=none report_ratio=none
if [ -x "$nginx" ]; then
  port=$(( 20000 + RANDOM % 20000 ))
  answer='{"directive":null,"next_poll_s":900,"renew":false,"sources":["https://127.0.0.1:44444"]}'
  cat >"$work/nginx.conf" <<CONF
daemon off; master_process off; worker_processes 1; pid $work/nginx.pid; error_log $work/nginx.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3;
  uwsgi_temp_path $work/t4; scgi_temp_path $work/t5; default_type application/json;
  server { listen 127.0.0.1:$port ssl; ssl_certificate $work/cert.pem; ssl_certificate_key $work/key.pem; location = / { return 200 '$answer'; } }
}
CONF
  "${on_server[@]}" "$nginx" -e "$work/nginx.log" -c "$work/nginx.conf" &
  nginx_pid=$!
  started+=("$nginx_pid")
  nap 0.5
  peer=$(measure "$nginx_pid" --url "https://127.0.0.1:$port/" --ca "$work/cert.pem" --body "$work/poll.json")
  ratio=$(awk -v a="$large" -v b="$peer" 'BEGIN {printf "%.2f", a / b}')
  report_ratio=$(awk -v a="$reports" -v b="$peer" 'BEGIN {printf "%.2f", a / b}')
fi
cat <<TABLE
idle polls, requests per server CPU second (TLS, keep-alive, $connections connections)
  1,000 devices registered        $small
  $devices devices registered      $large
  nginx return 200, same size     ${peer:-not installed}    ratio $ratio (target 0.60)
  reports, durable                $reports    ratio $report_ratio (target 0.60)
memory of the server
  $devices devices registered      $(( base_kb / 1024 )) MiB
  and $parked parked long polls     $(( parked_kb / 1024 )) MiB (target 250)
  each further parked one         $(( (more_kb - parked_kb) * 1024 / parked_more )) bytes (target 30,720), measured to $(( parked + parked_more ))
TABLE
stop_server
