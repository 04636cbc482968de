#!/bin/bash
# The bare server over core/net beside nginx with the same TLS settings, in one run: requests and bytes of files per second of server CPU, files also without
# TLS, and memory of an idle connection. Absolute figures drift with the machine; the ratios are what counts (targets: 0.9 for answers and files, 25 KB for
# idle connections).
# usage: tests/bench/http.sh [BIN_DIR]   SECONDS_EACH=4 CONNECTIONS=64 IDLE=2000 ROUNDS=3
set -euo pipefail
bin=$(realpath "${1:-build/bin}")
seconds=${SECONDS_EACH:-4} connections=${CONNECTIONS:-64} idle=${IDLE:-2000} rounds=${ROUNDS:-3}
nginx=$(command -v nginx || echo /usr/sbin/nginx)
for program in "$bin/fleet-load" "$bin/bare-server"; do
  [ -x "$program" ] || { echo "bench: $program is not built (make build)" >&2; exit 1; }
done
work=$(mktemp -d)
started=()
cleanup() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=bench -addext "subjectAltName=IP:127.0.0.1" \
  -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
mkdir "$work/files"
head -c 67108864 /dev/urandom >"$work/files/large"
on_server=() on_load=()
if [ "$(nproc)" -gt 1 ]; then on_server=(taskset -c 0) on_load=(taskset -c 1); fi

mkfifo "$work/bare.in"
exec 9<>"$work/bare.in"
"${on_server[@]}" "$bin/bare-server" --cert "$work/cert.pem" --key "$work/key.pem" --folder "$work/files" <"$work/bare.in" >"$work/bare.port" &
bare_pid=$!
started+=("$bare_pid")
while [ ! -s "$work/bare.port" ]; do kill -0 "$bare_pid"; done
bare_port=$(cat "$work/bare.port")
"${on_server[@]}" "$bin/bare-server" --cert "$work/cert.pem" --key "$work/key.pem" --folder "$work/files" --plain 1 <"$work/bare.in" >"$work/plain.port" &
plain_pid=$!
started+=("$plain_pid")
while [ ! -s "$work/plain.port" ]; do kill -0 "$plain_pid"; done
plain_port=$(cat "$work/plain.port")

have_nginx=no
if [ -x "$nginx" ]; then
  nginx_port=$(( 20000 + RANDOM % 20000 )) nginx_plain_port=$(( 40000 + RANDOM % 10000 ))
  answer='{"directive":null,"next_poll_s":55,"renew":false,"sources":["https://fleet.example:8444"],"pad":"1234"}'
  cat >"$work/nginx.conf" <<CONF
daemon off; master_process off; worker_processes 1; pid $work/nginx.pid; error_log $work/nginx.log;
events { worker_connections 16000; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 120s; client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3;
  uwsgi_temp_path $work/t4; scgi_temp_path $work/t5; default_type application/json;
  server {
    listen 127.0.0.1:$nginx_port ssl backlog=4096;
    ssl_certificate $work/cert.pem; ssl_certificate_key $work/key.pem; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:S:10m; ssl_session_tickets off;
    location = / { return 200 '$answer'; }
    location / { root $work/files; }
  }
  server {
    listen 127.0.0.1:$nginx_plain_port backlog=4096;
    sendfile on; tcp_nopush on;
    location / { root $work/files; }
  }
}
CONF
  "${on_server[@]}" "$nginx" -e "$work/nginx.log" -c "$work/nginx.conf" &
  nginx_pid=$!
  started+=("$nginx_pid")
  for _ in $(seq 100); do
    kill -0 "$nginx_pid" 2>/dev/null || break
    if (exec 3<>"/dev/tcp/127.0.0.1/$nginx_port") 2>/dev/null; then have_nginx=yes; break; fi
    read -rt 0.05 <>"$work/bare.in" || true
  done
  [ $have_nginx = yes ] || { echo "bench: nginx did not start:"; cat "$work/nginx.log"; }
else
  echo "bench: nginx is not installed (apt-get install nginx-light); measuring the bare server alone"
fi

# Microseconds of its threads, by the scheduler: the ticks of stat are sampled, which a second and a half is too short for.
cpu_us() { cat "/proc/$1/task/"*/schedstat | awk '{ sum += $1 } END { printf "%d", sum / 1000 }'; }
rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }
field() { sed -E "s/.*\b$1=([0-9.]+).*/\1/"; }

# measure PID PORT PATH FIELD [CONNECTIONS [SCHEME]] -> FIELD's count per CPU second of the server
measure() {
  local before after line
  before=$(cpu_us "$1")
  line=$("${on_load[@]}" "$bin/fleet-load" --url "${6:-https}://127.0.0.1:$2$3" --connections "${5:-$connections}" --seconds "$seconds")
  after=$(cpu_us "$1")
  echo "  $line" >&2
  echo "$line" | field "$4" | awk -v us=$((after - before)) '{ printf "%.0f\n", $1 * 1e6 / (us > 0 ? us : 1) }'
}
# idle PID PORT -> bytes of memory a connection
idle() {
  local before after holder
  before=$(rss_kb "$1")
  "$bin/fleet-load" --url "https://127.0.0.1:$2/" --connections "$idle" --hold 60 >"$work/hold" &
  holder=$!
  while [ ! -s "$work/hold" ]; do kill -0 "$holder"; read -rt 0.05 <>"$work/bare.in" || true; done
  read -rt 0.5 <>"$work/bare.in" || true
  after=$(rss_kb "$1")
  kill "$holder"; wait "$holder" 2>/dev/null || true
  : >"$work/hold"
  echo $(( (after - before) * 1024 / idle ))
}
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", (b > 0 ? a / b : 0) }'; }
median() { sort -n | awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] }'; }

bare_get=() nginx_get=() bare_file=() nginx_file=() bare_plain=() nginx_plain=()
for round in $(seq "$rounds"); do
  echo "round $round of $rounds (bare, then nginx; answers, files, files without TLS)" >&2
  bare_get+=("$(measure "$bare_pid" "$bare_port" / requests)")
  [ $have_nginx = no ] || nginx_get+=("$(measure "$nginx_pid" "$nginx_port" / requests)")
  bare_file+=("$(measure "$bare_pid" "$bare_port" /large body_bytes 4)")
  [ $have_nginx = no ] || nginx_file+=("$(measure "$nginx_pid" "$nginx_port" /large body_bytes 4)")
  bare_plain+=("$(measure "$plain_pid" "$plain_port" /large body_bytes 4 http)")
  [ $have_nginx = no ] || nginx_plain+=("$(measure "$nginx_pid" "$nginx_plain_port" /large body_bytes 4 http)")
done
bare_median=$(printf '%s\n' "${bare_get[@]}" | median) bare_file_median=$(printf '%s\n' "${bare_file[@]}" | median) bare_plain_median=$(printf '%s\n' "${bare_plain[@]}" | median)
echo "answers_per_cpu_s bare=$bare_median"
echo "file_bytes_per_cpu_s bare=$bare_file_median"
echo "plain_file_bytes_per_cpu_s bare=$bare_plain_median"
echo "idle_connection_bytes bare=$(idle "$bare_pid" "$bare_port")"
if [ $have_nginx = yes ]; then
  nginx_median=$(printf '%s\n' "${nginx_get[@]}" | median) nginx_file_median=$(printf '%s\n' "${nginx_file[@]}" | median) nginx_plain_median=$(printf '%s\n' "${nginx_plain[@]}" | median)
  echo "answers_per_cpu_s nginx=$nginx_median ratio=$(ratio "$bare_median" "$nginx_median")"
  echo "file_bytes_per_cpu_s nginx=$nginx_file_median ratio=$(ratio "$bare_file_median" "$nginx_file_median")"
  echo "plain_file_bytes_per_cpu_s nginx=$nginx_plain_median ratio=$(ratio "$bare_plain_median" "$nginx_plain_median")"
  echo "idle_connection_bytes nginx=$(idle "$nginx_pid" "$nginx_port")"
fi
