#!/usr/bin/env bash
# Blobs in a real S3 (versitygw): whose it is, uploads that go on elsewhere, devices, ranges, a store that throttles, cuts, lies and goes, garbage, backup and restore, to a folder and back.
. "$(dirname "$0")/lib.sh"
[ -n "${FLEET_TEST_BLOBS:-}" ] || { echo "run it below tests/support/with_s3"; exit 77; }
server() { "$bin/fleet-server" "$@"; }
s3_port=${FLEET_TEST_BLOBS##*:} s3=$FLEET_TEST_S3_DIR
echo pass >"$work/mode"
python3 "$here/../support/s3_between.py" --to "$s3_port" --port-file "$work/between.port" --mode-file "$work/mode" & others+=($!)
until_true 10 test -s "$work/between.port" || fail "nothing stands between"
between() { echo "$1" >"$work/mode"; }
direct="s3://bucket/fleet?endpoint=http://127.0.0.1:$s3_port" url="s3://bucket/fleet?endpoint=http://127.0.0.1:$(cat "$work/between.port")"
printf '[default]\naws_access_key_id = fleet-key\naws_secret_access_key = fleet-secret\n' >"$work/keys" && chmod 600 "$work/keys"
export AWS_ACCESS_KEY_ID=fleet-key AWS_SECRET_ACCESS_KEY=wrong
in_bucket() { find "$s3/${1:-fleet}" -type f -path "*/blobs/*" 2>/dev/null | wc -l; }
metric() { curl -s --cacert "$FLEETCTL_CA" "$FLEETCTL_SERVER/metrics" | awk -v n="$1" '$1 == n {print $2}'; }
readyz() { curl -s --cacert "$FLEETCTL_CA" "$FLEETCTL_SERVER/readyz"; }
state_says() { readyz | grep -q "$1"; }
digest_of() { sha256sum "$1" | cut -d' ' -f1; }
get_blob() { curl -s --cacert "$FLEETCTL_CA" -H "Authorization: Bearer $(cat "$FLEETCTL_TOKEN_FILE")" "$FLEETCTL_SERVER/blobs/sha256/$1" "${@:2}"; }

# What is wrong is told before anything is made, and no secret with it.
expect_code "a wrong key is refused" 8 server init --data "$work/none" --host localhost --blobs "$url" $(on_database)
expect "by name" grep -q blobs_refused "$work/last.err"
expect "which leaves no folder" test ! -e "$work/none"
no_secret() { ! grep -rqE "fleet-secret|AWS_SECRET" "$@"; }
AWS_SECRET_ACCESS_KEY=fleet-secret expect_code "nor is there such a bucket" 8 server init --data "$work/none" --host localhost --blobs "${url/bucket/none-such}" $(on_database)
expect "by name" grep -q blobs_no_bucket "$work/last.err"
expect_code "a key in the URL is refused" 2 server init --data "$work/none" --host localhost --blobs "s3://id:very-secret@bucket"
expect "and not told again" no_secret "$work/last.err"

"$bin/fleet-server" init --data "$work/server" --host localhost --blobs "$url" --blobs-credentials "$work/keys" $(on_database) >/dev/null || fail "init"
export FLEETCTL_CA="$work/server/ca.pem" FLEETCTL_TOKEN_FILE="$work/server/admin.token"
expect "the folder knows its store" grep -q '^blobs: "s3://bucket/fleet' "$work/server/server.yaml"
expect_code "the same place is no other fleet's" 6 server init --data "$work/none" --host localhost --blobs "$url" --blobs-credentials "$work/keys" $(on_database)
expect "by name" grep -q not_its_blobs "$work/last.err"
expect_code "with a wrong key the server does not start" 8 server run --data "$work/server" --api 127.0.0.1:0 --devices 127.0.0.1:0
server_options=(--blobs-credentials "$work/keys" --blobs-cache 0 --content-max 0)
start_server
ctl model create m >/dev/null || fail "model"
mkdir "$work/v1"; head -c 40000000 /dev/urandom >"$work/v1/model.bin"; for i in 1 2 3 4 5; do echo "$i" >"$work/v1/small$i"; done
publish 1 "$work/v1"
expect "the blobs are in the bucket, parts and all" test "$(in_bucket)" -eq 6
expect "whole" cmp -s "$(find "$s3/fleet/blobs" -name "$(digest_of "$work/v1/model.bin").*")" "$work/v1/model.bin"
expect "in the folder there are none" test ! -e "$work/server/blobs"
model=$(digest_of "$work/v1/model.bin")
expect "they come back, streamed" test "$(get_blob "$model" | sha256sum | cut -d' ' -f1)" = "$model"
expect "a range of them" cmp -s <(get_blob "$model" -r 20000000-30000000) <(tail -c +20000001 "$work/v1/model.bin" | head -c 10000001)
expect "whoever may read one may have a signed URL" test "$(get_blob "$model?deliver=signed" -L | sha256sum | cut -d' ' -f1)" = "$model"

# Devices.
for d in d1 d2 d3; do new_agent $d; done
start_agent d1
to() { ctl rollout create --release "m@$2" -l "id=$1" --policy "$work/policy.yaml" --start -o name || fail "rolling out $2 to $1"; }
has() { cmp -s "$work/v$2/model.bin" "$work/$1/models/m/current/model.bin"; }
arrives() { ctl rollout wait "$(to "$1" "$2")" --timeout 60s >/dev/null && has "$1" "$2"; }
expect "a device gets what lies in the bucket" arrives d1 1
echo "bandwidth: {max: 32Mbit/s}" >>"$work/d2/agent.yaml"
r=$(to d2 1)
start_agent d2
part() { [ "$(stat -c %s "$work"/d2/models/m/staging/*/model.bin 2>/dev/null || echo 0)" -gt 8000000 ]; }
expect "another is cut off within the file" until_true 40 part
kill_agent d2; sed -i /bandwidth/d "$work/d2/agent.yaml"; start_agent d2
expect "and goes on, by a range" ctl rollout wait "$r" --timeout 60s
expect "to the whole file" has d2 1

# A store that throttles, cuts, lies, and goes.
no_copies() { get_blob "$model" -r 0-0 >/dev/null; [ "$(metric fleet_blobs_copies)" -eq 0 ]; }
expect "where copies have no room none stays" until_true 10 no_copies
between throttle
start_agent d3
expect "throttled, it takes its time" arrives d3 1
expect "and is counted" test "$(metric fleet_blobs_store_throttled_total)" -gt 0
between pass
kill_server; server_options=(--blobs-credentials "$work/keys"); start_server
mkdir "$work/v2"; head -c 9000000 /dev/urandom >"$work/v2/model.bin"
between throttle
publish 2 "$work/v2"
expect "throttled, a release is published" test "$(in_bucket)" -eq 7
between pass
anew() { kill_server; rm -rf "$work/server/blobs-scratch"; server_options=(--blobs-credentials "$work/keys" --content-max 0 "$@"); start_server; }
anew
between cut
second=$(digest_of "$work/v2/model.bin")
whole() { [ "$(get_blob "$second" | sha256sum | cut -d' ' -f1)" = "$second" ]; }
expect "answers that are cut are taken up where they broke" until_true 60 whole
expect "and counted" test "$(metric fleet_blobs_store_altered_total)" -gt 0
between pass
anew --blobs-cache 0
between refuse
expect "a store that is away is told to whoever asks" test "$(get_blob "$second" -o "$work/away" -w '%{http_code}')" = 503
expect "by name" grep -qE "blobs_(cut|unreachable)" "$work/away"
expect "by /readyz" state_says degraded
expect "by /metrics" test "$(metric fleet_blobs_store_failing)" -eq 1
doctor_says() { ctl doctor -o wide 2>&1 | grep -q "blobs"; }
expect "by doctor" doctor_says
between pass
well() { get_blob "$second" -r 0-9 >/dev/null; state_says '"ok"'; }
expect "and is over when it is over" until_true 30 well
anew
between lie
get_blob "$second" -o "$work/lied" || true
expect "a store that lies is noticed by the digest" until_true 30 grep -q "blobs.lost" "$work/server.log"
expect "and no copy of it is kept" test "$(metric fleet_blobs_copies)" -eq 0
start=$(metric fleet_blobs_store_altered_total)
expect "it is counted" test "$start" -gt 0
r=$(to d1 2)
lies_seen() { grep -qE "mismatch|source_failed" "$work/d1.agent.log"; }
expect "the device notices, too" until_true 40 lies_seen
between pass
expect "and gets it once the store is honest again" ctl rollout wait "$r" --timeout 90s
expect "as it was published" has d1 2
between refuse
expect "while the store is away polls are served" until_true 40 bash -c "'$bin/fleetctl' -q device list >/dev/null"
mkdir "$work/v3"; head -c 3000000 /dev/urandom >"$work/v3/model.bin"
expect_code "a publication is told so" 8 ctl --timeout 20s release publish --model m --version 3 --variant "cam-a=$work/v3"
between pass
publish 3 "$work/v3"
expect "and works when it is back" arrives d2 3

# Two nodes' worth of uploads: begun by one server, gone on with by another that has the same database and bucket, one after the other.
api() { curl -s --cacert "$FLEETCTL_CA" -H "Authorization: Bearer $(cat "$FLEETCTL_TOKEN_FILE")" "$@"; }
head -c 5000000 /dev/urandom >"$work/up"
up=$(api -d "{\"sha256\":\"$(digest_of "$work/up")\",\"size\":5000000}" "$FLEETCTL_SERVER/api/v1/uploads" | jq -r .id)
head -c 3000000 "$work/up" >"$work/up.1"; tail -c 2000000 "$work/up" >"$work/up.2"
api -X PATCH -H "Upload-Offset: 0" --data-binary "@$work/up.1" "$FLEETCTL_SERVER/api/v1/uploads/$up" >/dev/null
expect "a piece lies in the bucket" test -f "$s3/fleet/uploads/$up/0"
kill_server
mkdir "$work/node2"; cp -r "$work/server/." "$work/node2/"; rm -rf "$work/node2/blobs-scratch" "$work/node2/lock"  # a machine that knows nothing of it
start_server "$work/node2"
expect "the other node knows how far it came" test "$(api "$FLEETCTL_SERVER/api/v1/uploads/$up" | jq .offset)" = 3000000
api -X PATCH -H "Upload-Offset: 3000000" --data-binary "@$work/up.2" "$FLEETCTL_SERVER/api/v1/uploads/$up" >/dev/null
expect "and finishes it" test "$(api -X PUT "$FLEETCTL_SERVER/api/v1/uploads/$up" | jq -r .state)" = done
expect "no piece is left over" test -z "$(find "$s3/fleet/uploads/$up" -type f 2>/dev/null)"
kill_server
data="$work/node2"; [ -z "$(on_database)" ] || data="$work/server"

# Garbage: past its grace what nobody names goes from the bucket. Time is the database's: rows are made older.
before=$(in_bucket)
sql "$data" "UPDATE uploads SET touched_at = 0; UPDATE blobs SET created_at = 0" >/dev/null
start_server "$data"
gone() { [ -z "$(sql "$data" "SELECT 1 FROM blobs WHERE generation = '' OR sha256 NOT IN (SELECT sha256 FROM release_files) LIMIT 1")" ]; }
expect "rows of what nobody names go" until_true 20 gone
expect "their bytes stay for a day" test "$(in_bucket)" -eq "$before"
kill_server
sql "$data" "UPDATE blob_leftovers SET noted_at = 0" >/dev/null
start_server "$data"
fewer() { [ "$(in_bucket)" -eq $((before - 1)) ] && [ "$(sql "$data" "SELECT count(*) FROM blob_leftovers")" -eq 0 ]; }
expect "and then they go" until_true 20 fewer
expect "and nothing that is named" server check --data "$data" --blobs-credentials "$work/keys"

# Backup and restore; to a folder and back.
expect "a backup holds the blobs" server backup --data "$data" --to "$work/backup" --blobs-credentials "$work/keys"
kill_server
expect "restored into files" server restore --from "$work/backup" --data "$work/files"
expect "they are there" server check --data "$work/files"
expect "restored into another prefix" server restore --from "$work/backup" --data "$work/again" --blobs "${direct/fleet?/again?}" --blobs-credentials "$work/keys" $(on_database)
expect "they are there, too" server check --data "$work/again" --blobs-credentials "$work/keys"
expect "in the bucket" test "$(in_bucket again)" -eq "$(in_bucket)"
expect "and not in the folder" test ! -e "$work/again/blobs"
object=$(find "$s3/again/blobs" -name "$model.*")
printf 'spoiled' | dd of="$object" bs=1 seek=1000 conv=notrunc status=none
expect_code "what was spoiled there is found" 1 server check --data "$work/again" --blobs-credentials "$work/keys"
expect "by its digest" grep -q "$model" "$work/last.out"
expect "from files into the bucket" server migrate --data "$work/files" --blobs "${direct/fleet?/third?}" --blobs-credentials "$work/keys"
expect "all of them" test "$(in_bucket third)" -eq "$(in_bucket)"
expect "and sound" server check --data "$work/files" --blobs-credentials "$work/keys"
rm -rf "$work/files/blobs"
expect "and back" server migrate --data "$work/files" --blobs local --blobs-credentials "$work/keys"
expect "with nothing named any more" test ! -e "$work/files/server.yaml"
expect "sound, without any bucket" server check --data "$work/files"
expect "no secret is in a log or a folder of ours" no_secret "$work/server.log" "$work/server" "$work/files" "$work/again"
