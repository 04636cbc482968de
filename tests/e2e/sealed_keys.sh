#!/usr/bin/env bash
# Private keys at rest are sealed by a passphrase: from the first start or later, with another passphrase, through backup and restore.
. "$(dirname "$0")/lib.sh"
echo "correct horse battery" >"$work/pass"; echo "another horse entirely" >"$work/pass2"; echo "short" >"$work/pass3"
chmod 600 "$work"/pass*
serve() { "$bin/fleet-server" "$@"; }
# No PEM key, and no Ed25519 seed as hex: what a plain key file holds.
no_plain_key() { ! grep -rlaE 'PRIVATE KEY|^[0-9a-f]{64}$' "$1" --include='*.key' --include='*.next'; }

expect_code "a passphrase that is too short is refused" 2 serve init --data "$work/server" --host localhost --passphrase-file "$work/pass3"
expect "a sealed server is made" serve init --data "$work/server" --host localhost --passphrase-file "$work/pass"
export FLEETCTL_CA="$work/server/ca.pem" FLEETCTL_TOKEN_FILE="$work/server/admin.token"
expect "no key lies there plain" no_plain_key "$work/server"
expect "the keys are there" test -s "$work/server/keys/root.key" -a -s "$work/server/ca.key" -a -s "$work/server/server.key"
expect_code "it does not start without the passphrase" 4 serve run --data "$work/server" --api 127.0.0.1:0 --devices 127.0.0.1:0
expect "and says why" grep -q passphrase_needed "$work/last.err"
expect_code "nor with a wrong one" 4 serve run --data "$work/server" --api 127.0.0.1:0 --devices 127.0.0.1:0 --passphrase-file "$work/pass2"
expect "and says so" grep -q wrong_passphrase "$work/last.err"

server_options=(--passphrase-file "$work/pass")
start_server
ctl model create m >/dev/null
new_agent d1; start_agent d1
make_release "$work/v1" one; publish 1 "$work/v1"
expect "with the passphrase it ships" ctl rollout wait "$(roll_out 1)" --timeout 40s
expect "to the device" content_is d1 one
expect "a role's key rotates" ctl trust rotate timestamp --reason test --yes
expect "keys made since are sealed, too" no_plain_key "$work/server"
expect_code "sealing asks for a server at rest" 6 serve keys seal --data "$work/server" --passphrase-file "$work/pass"
curl -s --cacert "$FLEETCTL_CA" -H "Authorization: Bearer $(cat "$FLEETCTL_TOKEN_FILE")" "$FLEETCTL_SERVER/metrics" >"$work/metrics"
ctl audit export >"$work/audit.jsonl"
expect "there are metrics and an audit log" test -s "$work/metrics" -a -s "$work/audit.jsonl"
expect "the passphrase is told to nobody" bash -c "! grep -rq 'horse' '$work/server' '$work/server.log' '$work/metrics' '$work/audit.jsonl'"

expect "a backup is made while it runs" serve backup --data "$work/server" --to "$work/backup"
expect "keys are sealed in a backup that is not" bash -c "! grep -qaE 'PRIVATE KEY' '$work/backup'"
kill_agent d1; kill_server
expect "check opens them" serve check --data "$work/server" --passphrase-file "$work/pass"
expect_code "a restore without their passphrase is refused" 4 serve restore --from "$work/backup" --data "$work/restored"
expect "and leaves nothing" test ! -e "$work/restored/ca.key"
expect "with it, it works" serve restore --from "$work/backup" --data "$work/restored" --keys-passphrase-file "$work/pass"
expect "sealed as before" no_plain_key "$work/restored"

expect_code "the old passphrase must be right" 4 serve keys passphrase --data "$work/server" --passphrase-file "$work/pass2" --new-passphrase-file "$work/pass"
expect "a new passphrase is set" serve keys passphrase --data "$work/server" --passphrase-file "$work/pass" --new-passphrase-file "$work/pass2"
expect_code "the one before opens nothing" 4 serve check --data "$work/server" --passphrase-file "$work/pass"
cp "$work/server/keys/root.key" "$work/root.key"; printf '%064d\n' 7 >"$work/server/keys/root.key"
expect_code "a plain key among sealed ones is found" 1 serve check --data "$work/server" --passphrase-file "$work/pass2"
expect "and named" grep -q 'root.key lies there unsealed' "$work/last.out"
cp "$work/root.key" "$work/server/keys/root.key"
server_options=(--passphrase-file "$work/pass2")
start_server; start_agent d1
make_release "$work/v2" two; publish 2 "$work/v2"
expect "the fleet goes on" ctl rollout wait "$(roll_out 2)" --timeout 40s
kill_agent d1; kill_server

# A server that was made without.
serve init --data "$work/plain" --host localhost >/dev/null
expect_code "a passphrase opens nothing where nothing is sealed" 2 serve check --data "$work/plain" --passphrase-file "$work/pass"
expect "its keys lie there plain" bash -c "grep -q 'PRIVATE KEY' '$work/plain/ca.key'"
expect "sealing them" serve keys seal --data "$work/plain" --passphrase-file "$work/pass"
expect "none lies there plain" no_plain_key "$work/plain"
cp "$work/plain/keys/targets.key" "$work/sealed.key"
expect "sealing again changes nothing" serve keys seal --data "$work/plain" --passphrase-file "$work/pass"
expect "not even a byte" cmp -s "$work/plain/keys/targets.key" "$work/sealed.key"
expect_code "with another passphrase it is refused" 4 serve keys seal --data "$work/plain" --passphrase-file "$work/pass2"
expect "it is sound" serve check --data "$work/plain" --passphrase-file "$work/pass"
expect "the CA's succession works on sealed keys" serve ca rotate --data "$work/plain" --passphrase-file "$work/pass"
expect "to its end" serve ca retire --data "$work/plain" --passphrase-file "$work/pass"
expect "and stays sealed" no_plain_key "$work/plain"
