#!/usr/bin/env bash
# The disk of the device is full, then the server's: a clear error, what runs goes on, nothing acknowledged is lost, and it goes on when there is room.
# Small file systems of its own need a mount namespace of its own.
if [ -z "${FLEET_E2E_MOUNTS:-}" ]; then
  apart=(unshare --mount)
  [ "$(id -u)" -eq 0 ] || apart+=(--map-root-user)
  "${apart[@]}" true 2>/dev/null || apart+=(--propagation unchanged)  # in a chroot / is no mount point
  "${apart[@]}" true || { echo "no mount namespace here"; exit 77; }
  FLEET_E2E_MOUNTS=1 exec "${apart[@]}" bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
small_disk() { mkdir -p "$1" && mount -t tmpfs -o "size=$2,mode=755" fleet-e2e "$1" || fail "no file system of $2 at $1"; mounts+=("$1"); }
resize() { mount -o "remount,size=$2" "$1" || fail "resizing $1"; }
noise() { head -c "$1" /dev/urandom | base64 -w 0; }
small_disk "$work/server" 160m
small_disk "$work/d1" 8m
init_server; start_server
ctl model create m >/dev/null
new_agent d1; start_agent d1
make_release "$work/v1" one
publish 1 "$work/v1"
expect "1 is rolled out" ctl rollout wait "$(roll_out 1)" --timeout 20s

make_release "$work/v2" "$(noise 9000000)"
publish 2 "$work/v2"
printf 'stages: [{percent: 100}]\non_harm: pause\ndevice: {attempts: 2}\n' >"$work/twice.yaml"
r=$(roll_out 2 "$work/twice.yaml")
explained() { ctl device explain d1 | grep -q 'the device waits: its disk is full.*(disk_full)'; }
expect "the device tells that its disk is full, and waits" until_true 30 explained
told() { "$bin/fleet-agent" status --root "$work/d1" -o json | jq -e '.models[0].because | any(.code == "disk_full")' >/dev/null; }
expect "its status says so" until_true 20 told
expect "what runs goes on" content_is d1 one
expect "only that is installed" test "$(ls "$work/d1/models/m/versions" | wc -l)" -eq 1
resize "$work/d1" 64m
expect "with room it takes the release, and nobody asks it to" until_true 60 content_is d1 "$(cat "$work/v2/model.bin")"
expect "and the rollout completes" ctl rollout wait "$r" --timeout 30s

# Others take every byte of the device's disk: the way back is there all the same.
dd if=/dev/zero of="$work/d1/app.log" bs=64k 2>/dev/null; dd if=/dev/zero of="$work/d1/app2.log" bs=1 2>/dev/null
expect "the owner goes back on a full disk" "$bin/fleet-agent" rollback --root "$work/d1" --model m
expect "to the version before" until_true 20 content_is d1 one
rm "$work/d1/app.log" "$work/d1/app2.log"
expect "what was taken back is given back at once" test "$(ls "$work/d1/models/m/versions" | wc -l)" -eq 1
expect "with room it is taken again" "$bin/fleet-agent" unhold --root "$work/d1" --model m
expect "and runs" until_true 40 content_is d1 "$(cat "$work/v2/model.bin")"

# The server's turn: every byte of its disk is taken.
dd if=/dev/zero of="$work/server/filler" bs=64k 2>/dev/null
make_release "$work/v3" "$(noise 3000000)"
got=0; ctl release publish --model m --version 3 --variant "cam-a=$work/v3" >/dev/null 2>"$work/full.err" || got=$?
expect "publishing ends with 8 (unavailable): $got" test "$got" -eq 8
expect "and says why" grep -qi 'disk\|space' "$work/full.err"
written=0
for i in 1 2 3 4 5 6 7 8 9 10; do ctl device label d1 "full$i=yes" >/dev/null 2>"$work/label.err" || break; written=$i; done
expect "the server lives" kill -0 "$server_pid"
expect "and answers what it knows" runs d1 2
rm "$work/server/filler"
expect "with room it publishes" publish 3 "$work/v3"
for i in $(seq 1 $written); do ctl device get d1 -o json | jq -e --arg l "full$i" '.labels[$l] == "yes"' >/dev/null || fail "acknowledged label full$i is lost"; done
expect "and rolls out" ctl rollout wait "$(roll_out 3)" --timeout 30s
kill_server
expect "check finds nothing" "$bin/fleet-server" check --data "$work/server"
