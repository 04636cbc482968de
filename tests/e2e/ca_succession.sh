#!/usr/bin/env bash
# The CA's successor: devices hear of it while both count, those that slept through the whole succession recover, and nobody takes a CA that
# the directive root did not announce.
. "$(dirname "$0")/lib.sh"
init_server
cp "$work/server/ca.pem" "$work/first.pem"
start_server
ctl model create m >/dev/null
make_release "$work/v1" one; publish 1 "$work/v1"
new_agent awake; new_agent asleep; new_agent fooled
start_agent awake
expect_code "no succession under a running server" 6 "$bin/fleet-server" ca rotate --data "$work/server"
certificates() { grep -c BEGIN "$1"; }
stop_server() { kill "$server_pid"; wait "$server_pid" 2>/dev/null; server_pid=; }
stop_server
expect_code "nothing to retire before there is a successor" 6 "$bin/fleet-server" ca retire --data "$work/server"
expect "a successor" "$bin/fleet-server" ca rotate --data "$work/server"
expect_code "only one at a time" 6 "$bin/fleet-server" ca rotate --data "$work/server"
expect "both are shown" test "$("$bin/fleet-server" ca show --data "$work/server" | grep -cE '^(issues|announced)')" -eq 2
echo "a long passphrase" >"$work/pass"
expect "the successor's key is backed up" bash -c "'$bin/fleet-server' backup --data '$work/server' --to '$work/backup' --passphrase-file '$work/pass' && '$bin/fleet-server' restore --from '$work/backup' --data '$work/copy' --passphrase-file '$work/pass' && test -s '$work/copy/ca-next.key'"
start_server
knows() { [ "$(certificates "$work/$1/identity/ca.pem")" -eq "$2" ]; }
expect "the device that is awake follows" until_true 40 knows awake 2
expect "people with the first CA's file are served" ctl --ca "$work/first.pem" auth status
r1=$(roll_out 1)
expect "and it updates" until_true 20 content_is awake one
new_agent newcomer
expect "a newcomer is given both" test "$(curl -s --cacert "$FLEETCTL_CA" "$devices/device/v1/ca" | jq -r .payload | base64 -d | jq -r .certificates | grep -c BEGIN)" -eq 2
stop_server
expect "the first one retires" "$bin/fleet-server" ca retire --data "$work/server"
expect "the successor alone is left" test "$(certificates "$work/server/ca.pem")" -eq 1
start_server
expect_code "people need the new file" 4 ctl --ca "$work/first.pem" auth status
expect "who is awake goes over" until_true 40 knows awake 1
make_release "$work/v2" two; publish 2 "$work/v2"
ctl rollout create --release m@2 --all --policy "$work/policy.yaml" --start --supersede "$r1" -o name >/dev/null || fail "rolling out 2"
expect "and updates" until_true 20 content_is awake two
expect "who slept knows the first CA only" cmp "$work/asleep/identity/ca.pem" "$work/first.pem"
start_agent asleep
expect "it hears of the succession from the announcement, which proves itself" until_true 40 content_is asleep two
expect "and knows the successor" cmp "$work/asleep/identity/ca.pem" "$work/server/ca.pem"

# Another server in the same place, with a CA and an announcement of its own.
stop_server
"$bin/fleet-server" init --data "$work/foreign" --host localhost >/dev/null
"$bin/fleet-server" run --data "$work/foreign" --api 127.0.0.1:0 --devices "127.0.0.1:$device_port" >>"$work/server.log" 2>&1 & server_pid=$!
until_true 20 test -s "$work/foreign/endpoints.json" || fail "the foreign server does not start"
start_agent fooled
not_followed() { grep -qE "ca.not_followed|identity.not_changed" "$work/fooled.agent.log"; }
expect "an announcement by another root is not followed" until_true 20 not_followed
expect "the device believes what it believed" cmp "$work/fooled/identity/ca.pem" "$work/first.pem"
kill_server
start_server
expect "and finds its own server again" until_true 60 content_is fooled two
