#!/usr/bin/env bash
# The owners' keys lie in tokens (SoftHSM): made there by others' tools, they sign roles and releases and are never seen; an approver's tool,
# the server and the agent take Ed25519 and ECDSA alike.
. "$(dirname "$0")/lib.sh"
# The module is loaded at run time and not ours: what it keeps until the end is no leak of ours.
export ASAN_OPTIONS=detect_leaks=0 SOFTHSM2_CONF=$work/softhsm.conf
mkdir "$work/tokens"
printf 'directories.tokendir = %s\nobjectstore.backend = file\n' "$work/tokens" >"$SOFTHSM2_CONF"
module=/usr/lib/softhsm/libsofthsm2.so
echo 271828 >"$work/pin"; echo 314159 >"$work/wrong"
make_token() { softhsm2-util --init-token --free --label "$1" --so-pin 12345678 --pin 271828 >/dev/null; }
make_key() { pkcs11-tool --module "$module" --token-label "$1" --login --pin 271828 --keypairgen --label "$2" --id "$3" --key-type "$4" "${@:5}" >/dev/null 2>&1; }
uri() { echo "pkcs11:token=$1;object=$2?pin-source=file:$work/pin&module-path=$module"; }
expect "there are tokens" eval 'make_token desk && make_token vault'
expect "alice's key is Ed25519" make_key desk alice 01 EC:edwards25519
expect "bob's is ECDSA, and asks for the PIN each time" make_key vault bob 01 EC:prime256v1 --always-auth
expect "one is of another curve" make_key vault other 02 EC:secp384r1
expect "one of another kind" make_key vault rsa 03 rsa:2048

apart() { env -u FLEETCTL_CA -u FLEETCTL_TOKEN_FILE FLEETCTL_SERVER=https://192.0.2.1:1 "$bin/fleetctl" --no-color -q "$@"; }
export_key() { apart trust offline export-key --key "$1" --out "$work/$2.pub"; }
refused() { expect_code "$1" "$2" export_key "$3" none; expect "it is $4" grep -q "($4)" "$work/last.err"; }
expect "alice's public half is given out" export_key "$(uri desk alice)" alice
expect "bob's is" export_key "$(uri vault bob)" bob
expect_code "no file is written over" 6 export_key "$(uri vault bob)" alice
refused "a token that is not there" 8 "$(uri attic bob)" key_device
refused "a key that is not there" 3 "$(uri vault carol)" no_key
refused "a token without a name is any of two" 2 "pkcs11:object=bob?pin-source=$work/pin&module-path=$module" bad_key_uri
refused "a key without a name is any of three" 2 "pkcs11:token=vault?pin-source=$work/pin&module-path=$module" bad_key_uri
refused "a curve that no device knows" 2 "$(uri vault other)" bad_key
refused "RSA" 2 "$(uri vault rsa)" bad_key
refused "no PIN" 4 "pkcs11:token=vault;object=bob?module-path=$module" pin_needed
refused "a wrong PIN" 4 "pkcs11:token=vault;object=bob?pin-source=$work/wrong&module-path=$module" wrong_pin
refused "a PIN where all can read it" 2 "pkcs11:token=vault;object=bob?pin-value=271828&module-path=$module" bad_key_uri
expect "which is not repeated" bash -c "! grep -q 271828 '$work/last.err'"
expect "nothing was written" test ! -e "$work/none.pub"

init_server; start_server
ctl model create m >/dev/null
ctl trust export-root >"$work/pinned.json"
new_agent d1; start_agent d1
move() { local role=$1; rm -f "$work/$role.json"; ctl trust offline prepare "$role" --key "$work/alice.pub" --key "$work/bob.pub" --threshold 2 --out "$work/$role.json" >/dev/null; }
sign() { apart trust offline sign "$1" --yes --key "$(uri desk alice)" --key "$(uri vault bob)"; }
for role in m-m targets root; do
  move "$role"
  expect "both sign $role, apart from the server" sign "$work/$role.json"
  expect "which is theirs then" ctl trust offline import "$work/$role.json"
done
expect "trust status says so" test "$(ctl trust status -o json | jq -r .mode)" = offline
expect "what is served is JSON to others" python3 -c 'import json, sys; json.load(open(sys.argv[1]))["signed"]["roles"]["root"]["threshold"] == 2 or sys.exit(1)' <(ctl trust export-root)

ctl model set m --approvals 1 >/dev/null
for role in publisher approver; do ctl token create "$role" --role "$role" -o json | jq -r .secret >"$work/$role.token"; done
as() { FLEETCTL_TOKEN_FILE=$work/$1.token ctl "${@:2}"; }
make_release "$work/v1" v1
publish_signed() { as publisher release publish --model m --version 1 --variant "cam-a=$work/v1" --root "$work/pinned.json" --key "$1" --proposal "$work/p.json"; }
approve_signed() { as approver release approve m@1 --reason tested --root "$work/pinned.json" --key "$1" --proposal "$work/p.json"; }
expect_code "the publisher signs by a token, and one more must" 9 publish_signed "$(uri desk alice)"
expect "the approver signs by another" approve_signed "$(uri vault bob)"
expect "the device follows the roots and takes it" ctl rollout wait "$(roll_out 1)" --timeout 30s
expect "it runs there" content_is d1 v1
expect "no private key of theirs is in a file of ours" bash -c "! grep -rlE 'PRIVATE KEY|271828' '$work'/*.json '$work'/*.pub '$work/server/keys' '$work/last.err'"
