#!/usr/bin/env bash
# Malformed, huge, smuggled and slow requests: refused, and the server goes on.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
raw() { timeout 15 openssl s_client -quiet -connect "127.0.0.1:$api_port" -CAfile "$FLEETCTL_CA" 2>/dev/null | head -c 400 | head -n 1 | tr -d '\r'; }
refused() { local what=$1 code=$2; expect "$what is refused" grep -q "HTTP/1.1 $code" <<<"$(printf "$3" | raw)"; }
refused "garbage" 400 'GARBAGE\r\n\r\n'
refused "no host" 400 'GET /healthz HTTP/1.1\r\n\r\n'
refused "two hosts" 400 'GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'
refused "a folded header" 400 'GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n'
refused "two lengths" 400 'POST /api/v1/uploads HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx'
refused "length and coding" 400 'POST /api/v1/uploads HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx'
refused "a strange coding" 400 'POST /api/v1/uploads HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\nx'
for port in "$api_port" "$device_port"; do expect "what could be smuggled is refused wherever it is cut (port $port)" "$bin/split-requests" --port "$port"; done
trickle() { local end=$(($(uptime_s) + 30)); { printf 'GET /healthz HTTP/1.1\r\nX: '; while [ "$(uptime_s)" -lt "$end" ]; do printf a; sleep 0.5; done; } | timeout 30 openssl s_client -quiet -connect "127.0.0.1:$device_port" 2>/dev/null | head -n 1; }
( trickle >"$work/trickled" ) & slow=$!
auth=(-H "Authorization: Bearer $(cat "$FLEETCTL_TOKEN_FILE")")
status() { curl -s -o "$work/answer" -w '%{http_code}' --cacert "$FLEETCTL_CA" "${auth[@]}" "$@"; }
head -c 3000000 /dev/zero | tr '\0' 'a' >"$work/huge"
expect "a body over its limit" test "$(status -X POST --data-binary "@$work/huge" "$FLEETCTL_SERVER/api/v1/uploads")" = 413
expect "no JSON" test "$(status -X POST -d '{' "$FLEETCTL_SERVER/api/v1/uploads")" = 400
expect "an unknown member is named" test "$(status -X POST -d '{"sha265":"x"}' "$FLEETCTL_SERVER/api/v1/uploads")" = 400
expect "with its pointer" grep -q '/sha265' "$work/answer"
expect "no such route" test "$(status "$FLEETCTL_SERVER/api/v1/nothing")" = 404
expect "another method" test "$(status -X DELETE "$FLEETCTL_SERVER/api/v1/rollouts")" = 405
expect "no path leads out of the metadata" test "$(status --path-as-is "$FLEETCTL_SERVER/tuf/../../admin.token")" != 200
pids=()
for i in $(seq 40); do (ctl model list -o json >/dev/null || echo "$i" >>"$work/broken") & pids+=($!); done
wait "${pids[@]}"
expect "forty at once are served" test ! -e "$work/broken"
expect "nothing changed" test "$(ctl model list -o json | jq '.items | length')" -eq 1
expect "the server goes on" ctl auth status
wait "$slow"
expect "a request that trickles in met its deadline" grep -q "HTTP/1.1 408" "$work/trickled"
