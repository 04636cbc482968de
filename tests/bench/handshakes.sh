#!/bin/bash
# Mutual TLS: handshakes per second of server CPU, full and resumed, of the bare server over core/net beside nginx with the same keys, in one run. Each
# connection asks once: a session is complete with the first answer. usage: tests/bench/handshakes.sh [BIN_DIR]   HANDSHAKES=1500 ROUNDS=3
set -euo pipefail
bin=$(realpath "${1:-build/bin}")
count=${HANDSHAKES:-1500} rounds=${ROUNDS:-3}
nginx=$(command -v nginx || echo /usr/sbin/nginx)
work=$(mktemp -d)
started=()
cleanup() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
on_server=() on_load=()
if [ "$(nproc)" -gt 1 ]; then on_server=(taskset -c 0) on_load=(taskset -c 1); fi
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=bench -addext "subjectAltName=IP:127.0.0.1" \
  -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
mkfifo "$work/in"
exec 9<>"$work/in"
"${on_server[@]}" "$bin/bare-server" --cert "$work/cert.pem" --key "$work/key.pem" --clients 1 <"$work/in" >"$work/port" &
bare=$!
started+=("$bare")
while [ ! -s "$work/port" ]; do kill -0 "$bare"; done

ticks=$(getconf CLK_TCK)
cpu_ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }
# measure PID PORT RESUME -> handshakes per second of the server's CPU; all of them full, or all but the first resumed
measure() {
  local before after line
  before=$(cpu_ticks "$1")
  line=$("${on_load[@]}" "$bin/fleet-load" --url "https://127.0.0.1:$2/" --cert "$work/cert.pem" --key "$work/key.pem" --handshakes "$count" --resume "$3")
  after=$(cpu_ticks "$1")
  echo "  $line" >&2
  [[ $line == *" resumed=$(( $3 * (count - 1) )) "* ]] || { echo "bench: not all were resumed, or not all were full" >&2; exit 1; }
  echo $(( count * ticks / (after - before > 0 ? after - before : 1) ))
}
best() { sort -n | tail -1; }
port=$(cat "$work/port")
nginx_port=
if [ -x "$nginx" ]; then
  nginx_port=$(( 20000 + RANDOM % 20000 ))
  cat >"$work/nginx.conf" <<CONF
daemon off; master_process off; worker_processes 1; pid $work/nginx.pid; error_log $work/nginx.log;
events { worker_connections 4096; }
http {
  access_log off; client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3; uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;
  server {
    listen 127.0.0.1:$nginx_port ssl; ssl_certificate $work/cert.pem; ssl_certificate_key $work/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_verify_client optional_no_ca; ssl_session_cache shared:S:10m; ssl_session_tickets off;
    location = / { return 200 '{}'; }
  }
}
CONF
  "${on_server[@]}" "$nginx" -e "$work/nginx.log" -c "$work/nginx.conf" &
  started+=("$!")
  nginx_pid=$!
  read -rt 0.5 <>"$work/in" || true
fi
full=() resumed=() nginx_full=() nginx_resumed=()
for _ in $(seq "$rounds"); do
  full+=("$(measure "$bare" "$port" 0)")
  resumed+=("$(measure "$bare" "$port" 1)")
  [ -n "$nginx_port" ] || continue
  nginx_full+=("$(measure "$nginx_pid" "$nginx_port" 0)")
  nginx_resumed+=("$(measure "$nginx_pid" "$nginx_port" 1)")
done
full=$(printf '%s\n' "${full[@]}" | best) resumed=$(printf '%s\n' "${resumed[@]}" | best)
times() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }
echo "mutual TLS, connections with one request each, per server CPU second"
echo "  full     $full"
echo "  resumed  $resumed, $(times "$resumed" "$full") x full (target 3)"
[ -n "$nginx_port" ] || { echo "  nginx is not installed"; exit 0; }
nginx_full=$(printf '%s\n' "${nginx_full[@]}" | best) nginx_resumed=$(printf '%s\n' "${nginx_resumed[@]}" | best)
echo "  nginx    $nginx_full full: ratio $(times "$full" "$nginx_full") (target 0.8); $nginx_resumed resumed: ratio $(times "$resumed" "$nginx_resumed")"
