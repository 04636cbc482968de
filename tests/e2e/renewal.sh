#!/usr/bin/env bash
# Certificates of devices and of the server renew while both run; a lapsed device comes back by itself, a revoked one does not; a server that
# was restored from before a renewal knows its devices again.
. "$(dirname "$0")/lib.sh"
server_options=(--certificate-lifetime 15s)
init_server; start_server
ctl model create m >/dev/null
new_agent d1; new_agent d2; new_agent d3
serial() { openssl x509 -in "$work/$1/identity/certificate.pem" -noout -serial; }
key() { sha256sum <"$work/$1/identity/key.pem"; }
has_key() { ctl device get "$1" -o json | jq -e --arg k "$(openssl pkey -in "$work/$1/identity/key.pem" -pubout -outform DER | sha256sum | cut -d' ' -f1)" '.key == $k' >/dev/null; }
server_serial() { openssl s_client -connect "127.0.0.1:$device_port" </dev/null 2>/dev/null | openssl x509 -noout -serial; }
first=$(serial d1) first_key=$(key d1) first_server=$(server_serial)
cp -r "$work/d1/identity" "$work/old"
start_agent d1; start_agent d3
renewed() { [ "$(serial "$1")" != "$2" ]; }
expect "d1 renews at two thirds" until_true 20 renewed d1 "$first"
expect "with a new key" test "$(key d1)" != "$first_key"
expect "which the server knows it by" until_true 10 has_key d1
expect "without a failed poll" test "$(grep -c poll.failed "$work/d1.agent.log")" -eq 0
status() { curl -s -o "$work/answer" -w '%{http_code}' --cacert "$FLEETCTL_CA" --cert "$1/certificate.pem" --key "$1/key.pem" -X POST -d '{}' "$devices/device/v1/$2"; }
expect "the old credential is retired once the new one was used" test "$(status "$work/old" poll)" = 401
server_renewed() { [ "$(server_serial)" != "$first_server" ]; }
expect "the server's own certificate is renewed while it runs" until_true 20 server_renewed
tells_new() { [ "$(curl -s --cacert "$FLEETCTL_CA" "$FLEETCTL_SERVER/metrics" | sed -n 's/^fleet_certificate_expires_in_seconds{certificate="server"} //p')" -gt 7 ]; }
expect "and /metrics tells until when the new one is good" until_true 4 tells_new
second=$(serial d1)
expect "d1 renews again" until_true 30 renewed d1 "$second"
make_release "$work/v1" one; publish 1 "$work/v1"
roll_out 1 >/dev/null
expect "d1 takes a release" until_true 20 content_is d1 one

# d2 never ran since it enrolled: its certificate has lapsed.
lapsed() { [ "$(status "$work/d2/identity" poll)" = 403 ] && grep -q certificate_expired "$work/answer"; }
expect "a lapsed certificate opens no poll" until_true 20 lapsed
expect "it does open the renewal" test "$(status "$work/d2/identity" renew)" = 400
lapsed_serial=$(serial d2)
start_agent d2
expect "the lapsed device renews by itself" until_true 20 renewed d2 "$lapsed_serial"
expect "and updates" until_true 20 content_is d2 one

ctl device revoke d3 --yes --reason stolen >/dev/null
revoked() { grep -q device_revoked "$work/d3.agent.log"; }
expect "a revoked device is told so" until_true 20 revoked
gone=$(serial d3)
expect "not even the renewal is open to it" test "$(status "$work/d3/identity" renew)" = 403

echo "a long passphrase" >"$work/pass"
expect "a backup from before the renewal" "$bin/fleet-server" backup --data "$work/server" --to "$work/backup" --passphrase-file "$work/pass"
before=$(serial d1)
expect "d3 never renewed" test "$(serial d3)" = "$gone"
expect "d1 renews after the backup" until_true 30 renewed d1 "$before"
kill_server
expect "restored from before the renewals" "$bin/fleet-server" restore --from "$work/backup" --data "$work/again" --passphrase-file "$work/pass" $(on_database)
mv "$work/server" "$work/lost"; mv "$work/again" "$work/server"
start_server
before=$(serial d1)
tried() { grep -q credential.other_tried "$work/d1.agent.log"; }
expect "the restored server does not know d1's newest key" until_true 40 tried
expect "d1 proves itself with the one before, and renews" until_true 40 renewed d1 "$before"
expect "and is known by it" until_true 10 has_key d1
