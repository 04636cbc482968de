#!/usr/bin/env bash
# Backup, publish, roll out, restore, roll out again: devices follow without enrolling anew.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
new_agent d1; start_agent d1
make_release "$work/v1" one; publish 1 "$work/v1"
expect "1 is rolled out" ctl rollout wait "$(roll_out 1)" --timeout 20s
echo "a long passphrase" >"$work/pass"
expect "a backup while it runs" "$bin/fleet-server" backup --data "$work/server" --to "$work/backup" --passphrase-file "$work/pass"
expect "it is its owner's alone" test "$(stat -c %a "$work/backup")" = 600
make_release "$work/v2" two; publish 2 "$work/v2"
expect "2 is rolled out after the backup" ctl rollout wait "$(roll_out 2)" --timeout 20s
expect "d1 runs 2" content_is d1 two
kill_server
head -c $(($(stat -c %s "$work/backup") / 2)) "$work/backup" >"$work/cut"
expect_code "a cut backup is refused" 4 "$bin/fleet-server" restore --from "$work/cut" --data "$work/half" --passphrase-file "$work/pass"
expect "and leaves nothing behind" test ! -e "$work/half"
expect_code "a wrong passphrase is refused" 4 "$bin/fleet-server" restore --from "$work/backup" --data "$work/other" --passphrase-file "$work/policy.yaml"
expect "restored" "$bin/fleet-server" restore --from "$work/backup" --data "$work/again" --passphrase-file "$work/pass" $(on_database)
expect "and sound" "$bin/fleet-server" check --data "$work/again"
mv "$work/server" "$work/lost"; mv "$work/again" "$work/server"
start_server
expect_code "2 is not known any more" 3 ctl release get m@2
# The newest completed rollout that the restored server knows is that of 1: what a backup says of the past is no order.
told() { ctl doctor -o json | jq -e '[.items[].detail] | any(test("run m@2 .*does not know"))' >/dev/null; }
expect "the doctor tells that d1 runs what this server does not know" until_true 40 told
expect "and that a rollout waits for a person" grep -q "fleetctl rollout resume" <(ctl doctor -o json)
expect "d1 was not sent back" content_is d1 two
expect "its reason is told" grep -q "restored from a backup" <(ctl device explain d1)
make_release "$work/v3" three; publish 3 "$work/v3"
r=$(roll_out 3)
expect "3 arrives without a new enrolment" until_true 40 content_is d1 three
expect "its rollout completes" ctl rollout wait "$r" --timeout 20s
