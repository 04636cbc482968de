#!/usr/bin/env bash
# The server on PostgreSQL, below tests/support/with_postgres: whose database it is, PostgreSQL gone in the midst of a rollout, backup and restore, to the file and back.
. "$(dirname "$0")/lib.sh"
server() { "$bin/fleet-server" "$@"; }
url_of() { sed -n 's/^database: "\(.*\)"$/\1/p' "$1/server.yaml"; }
ready() { curl -sf --cacert "$FLEETCTL_CA" "$FLEETCTL_SERVER/readyz" >/dev/null; }
not_ready() { ! ready; }

init_server
url=$(url_of "$work/server")
expect "the folder knows its database" test -n "$url"
expect "and nobody else may read where it is" test "$(stat -c %a "$work/server/server.yaml")" = 600
expect_code "a database that holds a fleet is not taken for another" 6 server init --data "$work/none" --host localhost --database "$url"
expect "which leaves no folder" test ! -e "$work/none"
psql "$FLEET_TEST_POSTGRES" -qc "CREATE DATABASE sorted TEMPLATE template0 LOCALE 'C.UTF-8'" || fail "another database"
expect_code "one that sorts otherwise is refused" 1 server init --data "$work/none" --host localhost --database "${FLEET_TEST_POSTGRES/postgres\?/sorted?}"
expect "by name" grep -q wrong_collation "$work/last.err"
expect_code "and a URL that is none" 2 server init --data "$work/none" --host localhost --database mysql://localhost/x
expect_code "or holds what a URL cannot" 2 server init --data "$work/none" --host localhost --database 'postgresql://h/a"b'

psql "$FLEET_TEST_POSTGRES" -qc "CREATE ROLE weak LOGIN" && psql "$FLEET_TEST_POSTGRES" -qc "CREATE DATABASE closed TEMPLATE template0" || fail "somebody without rights"
weak=${FLEET_TEST_POSTGRES/postgres\?/closed?}
expect_code "nor is it made by whom the database lets make nothing" 1 server init --data "$work/none" --host localhost --database "${weak/user=fleet/user=weak}"
expect "which leaves no folder either" test ! -e "$work/none"

start_server
for d in d1 d2; do new_agent $d; start_agent $d; done
ctl model create m >/dev/null || fail "model"
make_release "$work/v1" one; publish 1 "$work/v1"
expect "a rollout completes" ctl rollout wait "$(roll_out 1)" --timeout 60s
cp -r "$work/server" "$work/copy" && rm -f "$work/copy/lock"
expect_code "a second server on it is refused" 6 server run --data "$work/copy" --api 127.0.0.1:0 --devices 127.0.0.1:0
expect "by name" grep -q database_in_use "$work/last.err"

# PostgreSQL dies in the midst of a rollout, and comes back.
printf 'stages: [{devices: 1}, {percent: 100}]\non_harm: pause\n' >"$work/two.yaml"
make_release "$work/v2" two; publish 2 "$work/v2"
r=$(roll_out 2 "$work/two.yaml")
kill -9 "$(head -n 1 "$FLEET_TEST_POSTGRES_DIR/data/postmaster.pid")"
expect "without it the server says so" until_true 20 not_ready
expect_code "a change is refused, and may be tried again" 8 ctl --timeout 5s device label d1 site=a
expect "the server lives on" kill -0 "$server_pid"
rm -f "$FLEET_TEST_POSTGRES_DIR/data/postmaster.pid"
gone() { for at in /proc/[0-9]*/cwd; do [ "$(readlink "$at" 2>/dev/null)" != "$FLEET_TEST_POSTGRES_DIR/data" ] || return 1; done; }
until_true 20 gone || fail "its children do not go with it"
"$FLEET_TEST_POSTGRES_DIR/start" & others+=($!)
expect "it is found again" until_true 40 ready
expect "the rollout completes" ctl rollout wait "$r" --timeout 90s
for d in d1 d2; do expect "$d has it" content_is $d two; done
expect "nothing is amiss" server check --data "$work/server"

pg_dump "$url" >"$work/dump" && grep -q "COPY public.devices" "$work/dump" || fail "a dump"
no_key_in_dump() { ! grep -qi "PRIVATE KEY" "$work/dump" && ! cat "$work/server/keys"/*.key | grep -qiFf - "$work/dump"; }
expect "no private key and no secret is in the database" no_key_in_dump

expect "a backup while it runs" server backup --data "$work/server" --to "$work/backup"
kill_server
rm -rf "$work/copy/server.yaml"
server init --data "$work/foreign" --host localhost >/dev/null || fail "another fleet"
mv "$work/foreign/fleet.db" "$work/foreign.db"; cp -r "$work/foreign/keys" "$work/foreign.keys"
expect_code "another fleet's folder gets nothing of it" 6 server run --data "$work/foreign" --database "$url" --api 127.0.0.1:0 --devices 127.0.0.1:0
expect "by name" grep -q not_a_node "$work/last.err"
expect "and keeps its keys" diff -r "$work/foreign/keys" "$work/foreign.keys"
expect_code "a folder with two databases is refused" 6 server run --data "$work/server" --database "${url}&application_name=y"

expect "restored as a file" server restore --from "$work/backup" --data "$work/file"
expect "that is sound" server check --data "$work/file"
expect "restored into PostgreSQL" server restore --from "$work/backup" --data "$work/again" $(on_database)
expect "that is sound, too" server check --data "$work/again"
expect_code "nor does it found servers of a database that has none" 6 server run --data "$work/foreign" --database "$(url_of "$work/again")" --api 127.0.0.1:0 --devices 127.0.0.1:0
expect "by name" grep -q not_its_database "$work/last.err"
expect "and holds no file" test ! -e "$work/again/fleet.db"

# There and back: devices and rollouts go on.
expect_code "not into one that holds a fleet" 6 server migrate --data "$work/file" --to "$url"
expect "which leaves the folder as it was" server check --data "$work/file"
expect_code "not where it is already" 6 server migrate --data "$work/server" --to "$(on_database | cut -d' ' -f2)"
mkdir -p "$work/server/migrating" && echo half >"$work/server/migrating/fleet.db"  # of one that was killed
expect "back into a file" server migrate --data "$work/server" --from "$url"
expect "the folder forgets PostgreSQL" test ! -e "$work/server/server.yaml" -a ! -e "$work/server/migrating"
expect "that is sound, too" server check --data "$work/server"
start_server
make_release "$work/v3" three; publish 3 "$work/v3"
expect "devices go on" ctl rollout wait "$(roll_out 3)" --timeout 60s
events=$(sqlite3 "$work/server/fleet.db" "SELECT max(seq) FROM sqlite_sequence WHERE name = 'events'")
kill_server
expect "and into another" server migrate --data "$work/server" --to "$(on_database | cut -d' ' -f2)"
start_server
make_release "$work/v4" four; publish 4 "$work/v4"
expect "and on" ctl rollout wait "$(roll_out 4)" --timeout 60s
expect "what happened is numbered on" test "$(sql "$work/server" "SELECT min(id) FROM events WHERE id > $events")" = $((events + 1))
expect "both moves are in the audit log" test "$(ctl audit list --action server.migrated -o json | jq '.items | length')" = 2
expect "and all of it is sound" server check --data "$work/server"
