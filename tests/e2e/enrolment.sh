#!/usr/bin/env bash
# Enrolments that wait for a person, a board that takes another's place, factories' certificates, facts that change, and the alarm of a clone.
. "$(dirname "$0")/lib.sh"
factory=$work/factory; mkdir -p "$factory"
cat >"$factory/factories.yaml" <<'YAML'
factories:
  - {name: acme, ca: acme.pem, hardware: cam-a, labels: {vendor: acme}, allow: allowed.txt}
  - {name: serials, ca: serials.pem, named_by: serial, hardware: cam-b}
YAML
printf '# units of the first lot\nacme-1\nacme-2\n' >"$factory/allowed.txt"
make_ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$factory/$1.key" -out "$factory/$1.pem" -subj "/CN=$1 devices" -days 3650 2>/dev/null; }
certify() {  # NAME CA SERIAL DAYS
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$factory/$1.key" -out "$factory/$1.csr" -subj "/CN=$1" 2>/dev/null
  openssl x509 -req -in "$factory/$1.csr" -CA "$factory/$2.pem" -CAkey "$factory/$2.key" -set_serial "$3" -days "$4" -out "$factory/$1.crt" 2>/dev/null
}
make_ca acme; make_ca serials; make_ca strange
certify acme-1 acme 17 3650; certify acme-2 acme 18 -1; certify acme-9 acme 19 3650; certify unit serials 0xABCDEF 3650; certify acme-2b strange 20 3650
server_options=(--factories "$factory/factories.yaml")
init_server; start_server
ctl model create m >/dev/null
enroll() { mkdir -p "$work/$1"; "$bin/fleet-agent" enroll --root "$work/$1" --server "$devices" --ca "$FLEETCTL_CA" --hardware cam-x "${@:2}"; }
by_factory() { enroll "$1" --factory-certificate "$factory/$2.crt" --factory-key "$factory/$2.key" "${@:3}"; }
field() { ctl device get "$1" -o json | jq -r "$2"; }

expect_code "nothing that lets a device in is a wrong call" 2 enroll none
expect "a factory's certificate needs no join token" by_factory f1 acme-1 --id other
expect "it names the device" test "$(field acme-1 .state)" = active
expect "with what the factory's entry binds" test "$(field acme-1 '.hardware + " " + .labels.vendor')" = "cam-a acme"
expect "the audit log tells by what" grep -q 'factory acme, serial 11' <<<"$(ctl audit list -o json)"
expect "the same machine may enrol again with the same key" test "$(rm "$work/f1/identity/certificate.pem"; by_factory f1 acme-1 >/dev/null; echo $?)" = 0
expect_code "another key for the same factory certificate waits for a person" 9 by_factory f1b acme-1
expect_code "who is not on the list stays out" 4 by_factory f2 acme-9
grep -q device_not_allowed "$work/last.err" || grep -q 'not on its list' "$work/last.err" || fail "it says why"
expect_code "an expired factory certificate" 4 by_factory f3 acme-2
expect_code "one of a CA nobody named" 4 by_factory f4 acme-2b
expect "named by its serial number" by_factory f5 unit
expect "in lower case" test "$(field abcdef .hardware)" = cam-b
printf 'acme-9\n' >>"$factory/allowed.txt"
expect "the list is read anew each time" by_factory f2 acme-9

new_agent d1; start_agent d1
expect "d1 is heard" until_true 20 bash -c "'$bin/fleetctl' device get d1 -o json | jq -e .online >/dev/null"
ctl device label d1 site=lab >/dev/null
ctl device token create --id d1 --hardware cam-a >"$work/again.token"
mkdir -p "$work/d1b"; cp "$work/d1/agent.yaml" "$work/d1b/"
expect_code "waiting ends with its time" 7 enroll d1b --token-file "$work/again.token" --id d1 --wait --timeout 1s
enroll d1b --token-file "$work/again.token" --id d1 --wait --timeout 60s >"$work/wait.out" 2>"$work/wait.err" & waiting=$!; others+=($waiting)
expect "it says what it waits for" until_true 10 grep -q 'fleetctl device approve d1 --key' "$work/wait.err"
key=$(sed -n 's/.*--key \([0-9a-f]*\).*/\1/p' "$work/wait.err")
expect "the pending one has that key" test "$(ctl device list --state pending -o jsonl | jq -r 'select(.id == "d1") | .key')" = "$key"
expect_code "another key is not approved" 6 ctl device approve d1 --key "${key//[0-9]/0}" --reason swapped
expect "approved by its key" ctl device approve d1 --key "$key" --reason "new board"
expect "the waiting enrolment ends well" wait "$waiting"
expect "what the first one was labelled stays" test "$(field d1 .labels.site)" = lab
refused() { grep -q unknown_device "$work/d1.agent.log"; }
expect "the first board is out" until_true 60 refused
kill_agent d1
start_agent d1b
expect "the new board is heard" until_true 20 bash -c "'$bin/fleetctl' device get d1 -o json | jq -e .online >/dev/null"

new_agent d2
ctl device token create --id d2 >"$work/d2b.token"
expect_code "a board that takes d2's place" 9 enroll d2b --token-file "$work/d2b.token" --id d2
expect "replaces another device as well" ctl device approve d2 --replaces d1 --reason "moved to the lab"
expect "whose labels it takes" test "$(field d2 .labels.site)" = lab
expect "and which is retired" test "$(field d1 .state)" = retired

new_agent d3; start_agent d3
reported() { [ "$(field d3 ".reported.$1")" = "$2" ]; }
expect "d3 is heard" until_true 20 bash -c "'$bin/fleetctl' device get d3 -o json | jq -e .online >/dev/null"
kill_agent d3
echo 'report: {onnxruntime: 1.17.1}' >>"$work/d3/agent.yaml"
start_agent d3
expect "a fact that changed is told at the next start" until_true 20 reported onnxruntime 1.17.1

# Restarts are no second machine; two that speak in turn cannot both know what the other was answered.
sed -i 's/^poll:.*/poll: {interval: 1s, long_poll: false}/' "$work/d3/agent.yaml"
kill_agent d3
in_contact() { "$bin/fleet-agent" status --root "$work/$1" -o json 2>/dev/null | jq -e '.last_contact != null' >/dev/null; }
speak() {
  start_agent "$1"
  until_true 20 in_contact "$1" || fail "no poll of $1 was answered"
  kill_agent "$1"
}
speak d3; speak d3; speak d3
expect "an ordinary device is no clone" test "$(field d3 .clone_suspected_at)" = null
cp -r "$work/d3" "$work/d3-copy"
start_agent d3; start_agent d3-copy
suspected() { [ "$(field d3 .clone_suspected_at)" != null ]; }
until_true 20 suspected
kill_agent d3; kill_agent d3-copy
expect "two machines with one disk are noticed" test "$(field d3 .clone_suspected_at)" != null
expect "explain says so" grep -q 'two machines seemed to speak as this device' <<<"$(ctl device explain d3)"
expect "and an event" grep -q device.clone_suspected <<<"$(timeout 5 curl -sN --cacert "$FLEETCTL_CA" -H "Authorization: Bearer $(cat "$FLEETCTL_TOKEN_FILE")" -H 'Last-Event-ID: 0' "$FLEETCTL_SERVER/api/v1/events")"
