#!/usr/bin/env bash
# A real nginx (examples/cache) between the server and devices: the second device's bytes come from the cache, ranges too; what is spoiled there, or cut, comes from the server.
. "$(dirname "$0")/lib.sh"
nginx=$(PATH=$PATH:/usr/sbin command -v nginx) || { echo "nginx is not installed (nginx-light)"; exit 77; }
init_server; start_server
ctl model create m >/dev/null
# The cache is enrolled, and its example set up for this machine.
ctl device token create --cache --id depot >"$work/depot.token" || fail "the cache's token"
"$bin/fleet-agent" enroll --root "$work/depot" --server "$devices" --ca "$FLEETCTL_CA" --token-file "$work/depot.token" --id depot --hardware nginx >/dev/null || fail "the cache does not enrol"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
{
  echo "daemon off; master_process off; pid $work/nginx.pid; events {} http { client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3; uwsgi_temp_path $work/t4; scgi_temp_path $work/t5;"
  echo "log_format cache '\$request_method \$http_range \$status \$upstream_cache_status \$upstream_status'; access_log $work/nginx.access cache;"
  # At 4 MB/s, so that a file can be cut within.
  sed -e "s#^server {#server { limit_rate 4m;#; s#/var/cache/nginx/fleet#$work/cached#; s#server fleet.example:8444#server localhost:$device_port#; s#fleet.example#localhost#; s#listen 8480#listen 127.0.0.1:$port#; s#/etc/fleet-cache#$work/depot#" "$here/../../examples/cache/nginx.conf"
  echo "}"
} >"$work/nginx.conf"
"$nginx" -e "$work/nginx.log" -c "$work/nginx.conf" & nginx_pid=$!; others+=($!)
until_true 10 curl -s -o /dev/null "http://127.0.0.1:$port/" || { cat "$work/nginx.log"; fail "nginx does not start"; }
for id in d1 d2 d3; do new_agent "$id"; echo "sources: [\"http://127.0.0.1:$port\"]" >>"$work/$id/agent.yaml"; done
# What the server has sent of files, and whether that is what `of` says.
sent() { curl -s --cacert "$FLEETCTL_CA" "$FLEETCTL_SERVER/metrics" | awk '$1 == "fleet_net_file_bytes_total" {print $2}'; }
to() { ctl rollout create --release "m@$2" -l "id=$1" --policy "$work/policy.yaml" --start -o name || fail "rolling out $2 to $1"; }
has() { cmp -s "$work/v$2/model.bin" "$work/$1/models/m/current/model.bin"; }
arrives() { ctl rollout wait "$(to "$1" "$2")" --timeout 40s >/dev/null && has "$1" "$2"; }
make_version() { mkdir "$work/v$1"; head -c 6000000 /dev/urandom >"$work/v$1/model.bin"; publish "$1" "$work/v$1"; }

make_version 1
start_agent d1
expect "a file comes through the cache" arrives d1 1
first=$(sent)
expect "the server sent it once ($first bytes)" test "$first" -eq 6000000
start_agent d2
expect "it comes to a second device" arrives d2 1
expect "out of the cache: the server sent nothing more" test "$(sent)" -eq "$first"
expect "and what was asked for was found there" grep -q "^GET - 200 HIT" "$work/nginx.access"
blob=http://127.0.0.1:$port/blobs/sha256/$(sha256sum "$work/v1/model.bin" | cut -d' ' -f1)
expect "a range over two slices is the file's" cmp -s <(curl -s -r 4000000-4300000 "$blob") <(tail -c +4000001 "$work/v1/model.bin" | head -c 300001)
r=$(to d3 1)
start_agent d3
part() { [ "$(stat -c %s "$work"/d3/models/m/staging/*/model.bin 2>/dev/null || echo 0)" -gt 1500000 ]; }
expect "a third device is cut off within the file" until_true 20 part
kill_agent d3
start_agent d3
expect "and goes on" ctl rollout wait "$r" --timeout 40s
expect "to the whole file" has d3 1
expect "by a range, from the cache" grep -qE "^GET bytes=[1-9][0-9]*- 206 HIT" "$work/nginx.access"
expect "and still the server sent nothing more" test "$(sent)" -eq "$first"

make_version 2
expect "the next release goes the same way" arrives d1 2
expect "once" test "$(($(sent) - first))" -eq 6000000
second=$(sent)
largest() { find "$work/cached" -type f -size +1M | sort | while read -r one; do grep -qaF "$(sha256sum "$work/v2/model.bin" | cut -d' ' -f1)" "$one" && echo "$one"; done; }
expect "its slices lie in the cache" test "$(largest | wc -l)" -eq 2
largest | while read -r one; do cp "$one" "$work/${one##*/}"; printf 'spoiled' | dd of="$one" bs=1 seek=2000000 conv=notrunc status=none; done
expect "a cache whose bytes are spoiled costs time alone" arrives d2 2
expect "it was caught by the digest" grep -q "source_failed.*127.0.0.1:$port.*mismatch" "$work/d2.agent.log"
expect "and the server was asked" test "$(sent)" -gt "$second"
largest | while read -r one; do cat "$work/${one##*/}" >"$one"; done
third=$(sent)
r=$(to d3 2)
expect "a cache that goes away within a file" until_true 20 part
kill -9 "$nginx_pid"; wait "$nginx_pid" 2>/dev/null
expect "costs time alone, too" ctl rollout wait "$r" --timeout 40s
expect "the file is the right one" has d3 2
expect "and the server sent the rest of it alone ($(($(sent) - third)) bytes)" test "$(($(sent) - third))" -lt 4600000
