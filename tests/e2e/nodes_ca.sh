#!/usr/bin/env bash
# Two servers on one PostgreSQL: one request that comes to both at once, the CA's succession, keys that are none: below tests/support/with_postgres.
. "$(dirname "$0")/lib.sh"
. "$here/nodes.lib.sh"
run_folder() { timeout 20 "$bin/fleet-server" run --data "$1" --api 127.0.0.1:0 --devices 127.0.0.1:0; }
join() { "$bin/fleet-server" node join --data "$1" --database "$url" --blobs "$work/blobs" --keys "$2" --passphrase-file "$3" "${@:4}"; }

start_fleet 2
url=$(sed -n 's/^database: "\(.*\)"$/\1/p' "$work/server/server.yaml")
echo "another phrase altogether" >"$work/wrong"
expect_code "keys open with their phrase alone" 4 join "$work/n9" "$work/keys" "$work/wrong"
expect "and nothing is left behind" test ! -e "$work/n9"
head -c 3000 /dev/urandom >"$work/noise"
expect "noise is no node's keys" bash -c "! '$bin/fleet-server' node join --data '$work/n9' --database '$url' --keys '$work/noise' --passphrase-file '$work/phrase' 2>/dev/null && test ! -e '$work/n9'"
expect_code "a server that runs does not leave" 6 "$bin/fleet-server" node leave --data "$work/n2"
expect_code "nor is it taken out" 6 "$bin/fleet-server" node leave --data "$work/server" --id "$(jq -r .id "$work/n2/node.json")"
new_agent d1 "$balanced"; start_agent d1

# Four times at one moment, at both: once by the writer alone, once by workers.
at 1 model create m >/dev/null || fail "model"
make_release "$work/v1" one; on 2 publish 1 "$work/v1"
post() { curl -s -o /dev/null -w '%{http_code}\n' --cacert "$FLEETCTL_CA" -H "Authorization: Bearer $(cat "$FLEETCTL_TOKEN_FILE")" -H "Idempotency-Key: $2" -H 'Content-Type: application/json' -d "$4" "https://localhost:${node_api[$1]}$3" >>"$work/codes"; }
for i in 1 2 3 4 5 6; do
  asked=()
  for n in 1 2 1 2; do
    post $n "token-$i" /api/v1/device-tokens "{\"count\":1,\"id\":\"spare-$i\"}" & asked+=($!)
    post $n "rollout-$i" /api/v1/rollouts '{"model":"m","version":"1","selector":"hardware=cam-a","policy":{"stages":[{"percent":100}]}}' & asked+=($!)
  done
  wait "${asked[@]}"
done
expect "each token is made once" test "$(sql "$work/server" "SELECT count(*) FROM device_tokens WHERE device_id LIKE 'spare-%'")" = 6
expect "each rollout, too" test "$(sql "$work/server" "SELECT count(*) FROM rollouts")" = 6
expect "who repeats is answered, or told to wait" test "$(sort -u "$work/codes" | tr '\n' ' ')" = "201 409 "
expect "and nothing stays under way" test "$(sql "$work/server" "SELECT count(*) FROM uses_under_way")" = 0

kill_node 2 TERM
expect_code "the CA stays while another server runs" 6 "$bin/fleet-server" ca rotate --data "$work/n2"
kill_node 1 TERM
expect "it has a successor" "$bin/fleet-server" ca rotate --data "$work/server"
start_node 1
expect_code "who slept through it does not serve" 6 run_folder "$work/n2"
expect "by name" grep -q old_ca "$work/last.err"
"$bin/fleet-server" node export-keys --data "$work/server" --to "$work/keys2" --passphrase-file "$work/phrase" >/dev/null || fail "export"
expect "it takes the keys of now" join "$work/n2" "$work/keys2" "$work/phrase" --again
start_node 2
expect "and serves" until_true 10 all_live 2
expect "with the same CAs" cmp "$work/server/ca.pem" "$work/n2/ca.pem"
