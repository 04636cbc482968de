#!/usr/bin/env bash
# Join tokens that are wrong, used, expired, revoked; foreign certificates; revocation; a second enrolment; tokens of people.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
enroll() { mkdir -p "$work/$1"; "$bin/fleet-agent" enroll --root "$work/$1" --server "$devices" --ca "$FLEETCTL_CA" --token-file "$2" --id "${3:-$1}" --hardware cam-a; }
new_agent d1; start_agent d1
expect "d1 is seen" until_true 20 bash -c "'$bin/fleetctl' device get d1 -o json | jq -e .online >/dev/null"

echo fle_nonsense >"$work/wrong"
expect_code "a wrong token" 4 enroll x1 "$work/wrong"
expect_code "a used token" 4 enroll x2 "$work/d1.token"
ctl device token create --expires 1s >"$work/short"
until_true 5 bash -c "! '$bin/fleetctl' device token list -o json | jq -e '[.items[] | select(.expires_at > (now | todate))] | length > 0' >/dev/null"
expect_code "an expired token" 4 enroll x3 "$work/short"
ctl device token create >"$work/gone"
ctl device token revoke "$(ctl device token list -o json | jq -r '[.items[] | select(.used_at == null and .revoked_at == null)] | last | .id')" --yes >/dev/null
expect_code "a revoked token" 4 enroll x4 "$work/gone"

ctl device token create --id d1 >"$work/second"
expect_code "a second enrolment of d1 waits for a person" 9 enroll d1b "$work/second" d1
expect "the first goes on" test "$(ctl device get d1 -o json | jq -r .state)" = active
expect "the pending one is listed" test "$(ctl api GET '/devices?state=pending' | jq '.items | length')" -eq 1

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/foreign.key" -out "$work/foreign.pem" -subj /CN=d1 -days 2 2>/dev/null
status() { curl -s -o "$work/answer" -w '%{http_code}' --cacert "$FLEETCTL_CA" "$@"; }
expect "a foreign certificate is not known" test "$(status --cert "$work/foreign.pem" --key "$work/foreign.key" -X POST -d '{}' "$devices/device/v1/poll")" = 401
expect "no certificate is refused" test "$(status -X POST -d '{}' "$devices/device/v1/poll")" = 401
mine=(--cert "$work/d1/identity/certificate.pem" --key "$work/d1/identity/key.pem" -X POST -d '{"sequence":1,"items":[]}')
expect "its own is taken" test "$(status "${mine[@]}" "$devices/device/v1/reports")" = 400
ctl device revoke d1 --yes --reason stolen >/dev/null
expect "revocation bites at the next request" test "$(status "${mine[@]}" "$devices/device/v1/reports")" = 403
expect "and says so" grep -q device_revoked "$work/answer"

ctl token create ci --role viewer >"$work/viewer"
expect "a viewer reads" ctl --token-file "$work/viewer" device list
expect_code "a viewer changes nothing" 4 ctl --token-file "$work/viewer" device label d1 a=b
ctl token revoke "$(ctl token list -o json | jq -r '.items[] | select(.name == "ci") | .id')" --yes >/dev/null
ctl token create brief --role viewer --expires 1s >"$work/brief"
over() { ! ctl --token-file "$work/brief" device list >/dev/null 2>&1; }
expect "a token of people ends" until_true 10 over
expect_code "an expired token of people" 4 ctl --token-file "$work/brief" device list
expect_code "a revoked token of people" 4 ctl --token-file "$work/viewer" device list
expect_code "a wrong token of people" 4 ctl --token-file "$work/wrong" device list
