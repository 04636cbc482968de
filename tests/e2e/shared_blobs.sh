#!/usr/bin/env bash
# Blobs in a folder that nodes share: uploads that another node finishes, devices, garbage, a folder that is not mounted, backup and restore.
. "$(dirname "$0")/lib.sh"
server() { "$bin/fleet-server" "$@"; }
digest_of() { sha256sum "$1" | cut -d' ' -f1; }
blobs() { find "$work/shared/blobs" -type f 2>/dev/null | wc -l; }
expect_code "a store is a URL or a whole path" 2 server init --data "$work/none" --host localhost --blobs here/it/is
"$bin/fleet-server" init --data "$work/server" --host localhost --blobs "file://$work/shared" $(on_database) >/dev/null || fail "init"
export FLEETCTL_CA="$work/server/ca.pem" FLEETCTL_TOKEN_FILE="$work/server/admin.token"
start_server
for d in d1 d2; do new_agent $d; start_agent $d; done
ctl model create m >/dev/null || fail "model"
make_release "$work/v1" one; publish 1 "$work/v1"
expect "a rollout completes" ctl rollout wait "$(roll_out 1)" --timeout 60s
for d in d1 d2; do expect "$d has it" content_is $d one; done
count=$(blobs)
expect "the blobs lie there" test "$count" -ge 3
expect "by names that end in a generation" test "$(find "$work/shared/blobs" -name "$(digest_of "$work/v1/model.bin").*" | wc -l)" -eq 1

api() { curl -s --cacert "$FLEETCTL_CA" -H "Authorization: Bearer $(cat "$FLEETCTL_TOKEN_FILE")" "$@"; }
head -c 500000 /dev/urandom >"$work/up"
up=$(api -d "{\"sha256\":\"$(digest_of "$work/up")\",\"size\":500000}" "$FLEETCTL_SERVER/api/v1/uploads" | jq -r .id)
head -c 300000 "$work/up" >"$work/up.1"; tail -c 200000 "$work/up" >"$work/up.2"
api -X PATCH -H "Upload-Offset: 0" --data-binary "@$work/up.1" "$FLEETCTL_SERVER/api/v1/uploads/$up" >/dev/null
kill_server
mkdir "$work/node2"; cp -r "$work/server/." "$work/node2/"; rm -rf "$work/node2/blobs-scratch" "$work/node2/lock"
[ -n "$(on_database)" ] || mv "$work/server/fleet.db" "$work/fleet.db.gone"
start_server "$work/node2"
api -X PATCH -H "Upload-Offset: 300000" --data-binary "@$work/up.2" "$FLEETCTL_SERVER/api/v1/uploads/$up" >/dev/null
expect "an upload goes on at another node" test "$(api -X PUT "$FLEETCTL_SERVER/api/v1/uploads/$up" | jq -r .state)" = done
make_release "$work/v2" two; publish 2 "$work/v2"
expect "devices go on" ctl rollout wait "$(roll_out 2)" --timeout 60s
kill_server

mv "$work/shared" "$work/unmounted"; mkdir "$work/shared"
expect_code "a folder that is not mounted is told" 6 server run --data "$work/node2" --api 127.0.0.1:0 --devices 127.0.0.1:0
expect "by name" grep -q not_its_blobs "$work/last.err"
rm -rf "$work/shared"; mv "$work/unmounted" "$work/shared"
before=$(blobs)
sql "$work/node2" "UPDATE uploads SET touched_at = 0; UPDATE blobs SET created_at = 0" >/dev/null
start_server "$work/node2"
noted() { [ "$(sql "$work/node2" "SELECT count(*) FROM blob_leftovers")" -eq 1 ]; }
expect "what nobody names is noted" until_true 20 noted
expect "and stays for a day" test "$(blobs)" -eq "$before"
kill_server
sql "$work/node2" "UPDATE blob_leftovers SET noted_at = 0" >/dev/null
start_server "$work/node2"
fewer() { [ "$(blobs)" -eq $((before - 1)) ]; }
expect "then it goes" until_true 20 fewer
expect "a backup while it runs" server backup --data "$work/node2" --to "$work/backup"
expect "all is sound" server check --data "$work/node2"
kill_server
expect "restored into a folder of its own" server restore --from "$work/backup" --data "$work/own"
expect "it is sound" server check --data "$work/own"
expect_code "the blobs of one fleet are no other's" 6 server init --data "$work/none" --host localhost --blobs "$work/shared" $(on_database)
expect "from there into another shared one" server migrate --data "$work/own" --blobs "$work/other"
expect "it is sound, too" server check --data "$work/own"
expect "and back" server migrate --data "$work/own" --blobs local
expect "and sound" server check --data "$work/own"
