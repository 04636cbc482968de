#!/usr/bin/env bash
# What an app needs to see for itself that it loads what was signed lies beside the model: the example checks bytes, signatures from a pinned root, and evidence.
. "$(dirname "$0")/lib.sh"
init_server; start_server
openssl ecparam -name prime256v1 -genkey -noout -out "$work/lab.pem" && openssl ec -in "$work/lab.pem" -pubout -out "$work/lab.pub.pem" 2>/dev/null
openssl genpkey -algorithm ed25519 -out "$work/other.pem" 2>/dev/null && openssl pkey -in "$work/other.pem" -pubout -out "$work/other.pub.pem"
ctl model create m --signer "lab=$work/lab.pub.pem" >/dev/null
new_agent d1; start_agent d1
make_release "$work/v1" one
printf '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"model.bin","digest":{"sha256":"%s"}}],"predicateType":"https://cyclonedx.org/bom","predicate":{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"machine-learning-model","name":"m"}]}}' \
  "$(sha256sum "$work/v1/model.bin" | cut -d' ' -f1)" >"$work/payload"
type=application/vnd.in-toto+json
{ printf 'DSSEv1 %d %s %d ' "${#type}" "$type" "$(stat -c %s "$work/payload")"; cat "$work/payload"; } >"$work/pae"
openssl dgst -sha256 -sign "$work/lab.pem" -out "$work/sig" "$work/pae"
printf '{"payloadType":"%s","payload":"%s","signatures":[{"keyid":"","sig":"%s"}]}' "$type" "$(base64 -w0 "$work/payload")" "$(base64 -w0 "$work/sig")" >"$work/bom.json"
publish 1 "$work/v1" --attestation "$work/bom.json"
expect "a release with evidence is installed" ctl rollout wait "$(roll_out 1)" --timeout 30s
ctl trust export-root >"$work/root.json" || fail "root"

example="$here/../../examples/verify-release/check_release.py"
check() { PYTHONDONTWRITEBYTECODE=1 python3 "$example" "$work/d1/models/m" "$@"; }
refuses() { expect_code "$1" 1 check "${@:3}"; grep -q "$2" "$work/last.err" || { cat "$work/last.err"; fail "$1: it does not say '$2'"; }; }
expect "its bytes are what release.json says" check
expect "and what was signed, from a pinned root" check --root "$work/root.json"
expect "the evidence is there" bash -c "PYTHONDONTWRITEBYTECODE=1 python3 '$example' '$work/d1/models/m' --root '$work/root.json' --signer lab=$work/lab.pub.pem | grep -q 'bom by lab'"
expect "and counts by its signer alone" test "$(check --signer "other=$work/other.pub.pem" | grep -c 'bom by')" = 0
slot=$(readlink -f "$work/d1/models/m/current"); document=$work/d1/models/m/releases/$(basename "$slot").json
jq '.signed.roles.root.keyids |= [] | .signed.keys |= {}' "$work/root.json" >"$work/stranger.json"
refuses "nobody's root vouches for nothing" "good signatures" --root "$work/stranger.json"
sed "s/$(jq -r '.version' "$document")/&/;s/model.bin/model.bim/" "$document" >"$work/touched" && cp "$document" "$work/kept" && cp "$work/touched" "$document"
refuses "a release.json that was touched" "release.json has digest"
cp "$work/kept" "$document"
echo more >>"$slot/model.bin"
refuses "a model that was touched" "model.bin has digest"
touch "$slot/strange"; echo one >"$slot/model.bin"
refuses "a file that nobody signed" "strange is not in the release"
rm "$slot/strange"
expect "and as it was it is right again" check --root "$work/root.json"
