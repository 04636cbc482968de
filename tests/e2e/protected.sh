#!/usr/bin/env bash
# A protected model: its files travel encrypted, a cache and the network have nothing that can be read, each device gets the key of what it is told, and nobody else does.
. "$(dirname "$0")/lib.sh"
memories=()
trap 'code=$?; rm -rf "${memories[@]:-/nonexistent}"; (exit $code); cleanup' EXIT
init_server; start_server
expect_code "a protection that there is none of" 2 ctl model create m --protected paper
ctl model create m --protected disk >/dev/null || fail "a protected model"
expect "people see that it is" test "$(ctl model get m -o json | jq -r .protected)" = disk
ctl model set m --approvals 0 >/dev/null || fail "setting something else"
expect "and changing something else leaves it so" test "$(ctl model get m -o json | jq -r .protected)" = disk
mark=the-secret-of-these-weights
release() { mkdir -p "$work/v$1"; { yes "$mark-$1" | head -n 40000; head -c 1500000 /dev/urandom; } >"$work/v$1/model.bin"; [ "$1" = 1 ] || { head -c 3000000 "$work/v1/model.bin"; echo "$1"; } >"$work/v$1/model.bin"; echo "$mark" >"$work/v$1/labels.txt"; publish "$1" "$work/v$1"; }
same() { cmp -s "$work/v$2/model.bin" "$work/$1/models/m/current/model.bin" && cmp -s "$work/v$2/labels.txt" "$work/$1/models/m/current/labels.txt"; }
digest() { sha256sum "$1" | cut -d' ' -f1; }
# fetch ID PATH: as that device, or cache.
fetch() { curl -s -o "$work/fetched" -w '%{http_code}' --cacert "$FLEETCTL_CA" --cert "$work/$1/identity/certificate.pem" --key "$work/$1/identity/key.pem" "$devices$2"; }
new_agent d1; new_agent d2
ctl device token create --cache --id depot >"$work/depot.token" || fail "a cache's token"
"$bin/fleet-agent" enroll --root "$work/depot" --server "$devices" --ca "$FLEETCTL_CA" --token-file "$work/depot.token" --id depot --hardware nginx >/dev/null || fail "the cache does not enrol"
expect "the key that takes keys is the device's alone" test "$(stat -c %a "$work/d1/identity/wrap-key.pem")" = 600
start_agent d1
release 1
r=$(ctl rollout create --release m@1 -l id=d1 --policy "$work/policy.yaml" --start -o name)
expect "the release reaches a device" ctl rollout wait "$r" --timeout 60s
expect "and is there as it is" same d1 1
expect "its release.json says that it is protected" test -n "$(jq -s '.[] | select(.protected == "disk")' "$work"/d1/models/m/releases/*.json)"
expect "the device fetched recipes and nothing as it is" test "$(grep -c "download.route .*kind=compressed" "$work/d1.agent.log")" = 2
for one in model.bin labels.txt; do
  expect "$one as it is: not for the device that runs it" test "$(fetch d1 "/blobs/sha256/$(digest "$work/v1/$one")")" = 404
  expect "$one as it is: not for a cache" test "$(fetch depot "/blobs/sha256/$(digest "$work/v1/$one")")" = 404
  expect "$one as it is: not for another device" test "$(fetch d2 "/blobs/sha256/$(digest "$work/v1/$one")")" = 404
done
objects=$(find "$work/server/content/objects" -type f)
expect "what travels lies there" test -n "$objects"
for one in $objects; do
  [ "$(fetch depot "/blobs/sha256/${one##*/}")" = 200 ] || fail "a cache does not get ${one##*/}"
  ! grep -qa "$mark" "$work/fetched" || fail "${one##*/} can be read"
  [ "$(fetch d2 "/blobs/sha256/${one##*/}")" = 404 ] || fail "a device that was told nothing gets ${one##*/}"
done
echo "ok: a cache gets every object, and can read none; who was told nothing gets none"
expect "nothing the server prepared can be read" test -z "$(grep -rla "$mark" "$work/server/content")"

# The second release goes as an encrypted delta, to a device that never had the first as a whole encrypted file.
release 2
ready() { ctl release get "m@$1" -o json | jq -e --arg k "$2" '.routes[].routes[] | select(.state == "ready" and .kind == $k and .encrypted)' >/dev/null; }
expect "an encrypted delta is prepared" until_true 40 ready 2 binary_delta
start_agent d2
expect "release 2 reaches both" ctl rollout wait "$(roll_out 2)" --timeout 60s
expect "d1 has the very bytes" same d1 2
expect "d2, too" same d2 2
expect "d1 took the delta" grep -q "download.route .*kind=binary_delta" "$work/d1.agent.log"
expect "d2 the whole" grep -q "download.route .*kind=compressed" "$work/d2.agent.log"

# A device that lost the key it takes keys with waits, and says why; a stranger's key is of no use.
kill_agent d2; cp "$work/d2/identity/wrap-key.pem" "$work/kept.pem"; cp "$work/d1/identity/wrap-key.pem" "$work/d2/identity/wrap-key.pem"; start_agent d2
release 3
r=$(ctl rollout create --release m@3 -l id=d2 --policy "$work/policy.yaml" --start -o name)
waits() { [ "$(ctl device get d2 -o json | jq -r '.update.waiting // .update.error.code // empty')" = no_data_key ] || "$bin/fleet-agent" status --root "$work/d2" -o json | jq -e '.models[0].because[] | select(.code == "no_data_key")' >/dev/null; }
expect "a device whose key is another's waits" until_true 60 waits
expect "and keeps what it had" same d2 2
kill_agent d2; cp "$work/kept.pem" "$work/d2/identity/wrap-key.pem"; start_agent d2
expect "with its own it goes on" ctl rollout wait "$r" --timeout 60s
expect "to the very bytes" same d2 3

# By a stick, to a device that no network reaches: the same objects, as unreadable.
new_agent d3
expect "a bundle is made of a protected release" ctl bundle export --release m@2 --device d3 --to "$work/m.bundle"
expect "in which nothing can be read" test -z "$(grep -la "$mark" "$work/m.bundle")"
expect "and which is whole" ctl bundle inspect "$work/m.bundle"
kill_server
start_agent d3
until_true 20 test -S "$work/d3/run/agent.sock" || fail "d3 does not start"
expect "the device that it is for installs it" "$bin/fleet-agent" install "$work/m.bundle" --root "$work/d3" --timeout 60s
expect "to the very bytes" same d3 2
start_server

# Revoked: what was prepared goes, and its key is told to nobody.
ctl release revoke m@3 --yes --reason "leaked" >/dev/null || fail "revoking"
gone() { [ "$(ctl release get m@3 -o json | jq '[.routes[]?.routes[]? | select(.state == "ready")] | length')" = 0 ]; }
expect "what was encrypted for a revoked release goes" until_true 40 gone

# In memory alone: what lies on the disk can be read by nobody who has the disk alone.
ctl model set m --protected memory >/dev/null || fail "in memory from now on"
mkdir "$work/packed"; tar -C "$work/v1" -cf "$work/packed/model.tar" model.bin
expect_code "an archive would be written to the disk" 1 ctl release publish --model m --version 0.1 --variant "cam-a=$work/packed" --manifest <(echo 'handler: archive')
expect "that is said" grep -q cannot_protect "$work/last.err"
release 4
r=$(ctl rollout create --release m@4 -l id=d1 --policy "$work/policy.yaml" --start -o name)
lacks() { "$bin/fleet-agent" status --root "$work/$1" -o json | jq -e --arg c "$2" '.models[0].because[] | select(.code == $c)' >/dev/null; }
expect "a device whose owner names no folder in memory waits, and says so" until_true 60 lacks d1 no_memory_dir
expect "on what it ran" same d1 2
kill_agent d1; printf 'memory: {dir: %s, max: 1MiB}\n' "$work/on-disk" >>"$work/d1/agent.yaml"; start_agent d1
on_disk() { grep -q "memory.not_used .*code=no_memory_dir" "$work/d1.agent.log"; }
case $(stat -f -c %T "$work") in tmpfs) echo "skipped: the test's own folder lies in memory";; *) expect "a folder on a disk is none" until_true 20 on_disk;; esac
memory=$(mktemp -d /dev/shm/fleet-e2e.XXXXXX) && chmod 755 "$memory" || fail "a folder in memory"
memories+=("$memory")
mkdir "$memory/elsewhere" && ln -s elsewhere "$memory/d1"
kill_agent d1; sed -i "s#^memory: .*#memory: {dir: $memory, max: 1MiB}#" "$work/d1/agent.yaml"; start_agent d1
expect "nor one that somebody made a link of" until_true 20 grep -q "memory.not_used .*code=folder_open" "$work/d1.agent.log"
kill_agent d1; rm "$memory/d1"; mkdir -m 777 "$memory/d1"; start_agent d1
expect "one that is too small is told, too" until_true 60 lacks d1 memory_full
kill_agent d1; sed -i "s#^memory: .*#memory: {dir: $memory, max: 64MiB}#" "$work/d1/agent.yaml"; start_agent d1
expect "with room it goes on" ctl rollout wait "$r" --timeout 60s
expect "to the very bytes" same d1 4
expect "which lie in memory" test "$(readlink -f "$work/d1/models/m/current")" = "$(readlink -f "$memory")/d1/m/versions/$(basename "$(readlink "$work/d1/models/m/current")")"
expect "in a folder that is this device's own, and others may not write to any more" test "$(stat -c %a "$memory/d1")" = 755
expect "the encrypted files are there" test "$(find "$work/d1/models/m/sealed" -type f | wc -l)" = 3
expect "nothing on the disk can be read" test -z "$(grep -rlaF "$mark" "$work/d1/models/m/sealed")"
release 5
expect "the next release goes there as a delta from memory" ctl rollout wait "$(ctl rollout create --release m@5 -l id=d1 --policy "$work/policy.yaml" --start -o name)" --timeout 60s
expect "to the very bytes" same d1 5
# A boot takes what is in memory.
kill_agent d1; rm -rf "${memory:?}"/*; expect "after a boot nothing is there" test ! -e "$work/d1/models/m/current/model.bin"
start_agent d1
filled() { same d1 5; }
expect "and is made again out of what lies encrypted" until_true 30 filled
expect "without the network" test "$(grep -c "download.route" "$work/d1.agent.log")" = "$(grep -c "download.route" <<<"$(sed '/memory.filled/q' "$work/d1.agent.log")")"
expect "so is the version before, to go back to" "$bin/fleet-agent" rollback --root "$work/d1" --model m
back() { same d1 4; }
expect "it is back" until_true 20 back
# What is spoiled on the disk is fetched again.
kill_agent d1; rm -rf "${memory:?}"/*; for one in "$work"/d1/models/m/sealed/*/*; do [ "${one##*/}" = key ] || printf 'spoiled' | dd of="$one" bs=1 seek=100 conv=notrunc status=none; done
start_agent d1
expect "spoiled bytes are not taken for the model" until_true 30 grep -q "memory.not_filled" "$work/d1.agent.log"
