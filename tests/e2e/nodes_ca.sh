#!/usr/bin/env bash
# The CA's succession with two servers on one PostgreSQL, and keys that are none: below tests/support/with_postgres.
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
