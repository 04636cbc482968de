#!/usr/bin/env bash
# Evidence: statements of pipelines that others wrote tools for (openssl signs them here) attach to a release, are judged over their bytes, and are
# demanded by a model.
. "$(dirname "$0")/lib.sh"
init_server; start_server
keys=$work/keys; mkdir "$keys"
for name in ci lab stranger; do openssl ecparam -name prime256v1 -genkey -noout -out "$keys/$name.pem" && openssl ec -in "$keys/$name.pem" -pubout -out "$keys/$name.pub.pem" 2>/dev/null; done
data=$(printf 'held out' | sha256sum | cut -d' ' -f1)
sha() { sha256sum "$1" | cut -d' ' -f1; }
# attest SIGNER OUT < STATEMENT: a DSSE envelope by openssl alone; its key id is nobody's.
attest() {
  local type=application/vnd.in-toto+json payload=$work/payload
  cat >"$payload"
  { printf 'DSSEv1 %d %s %d ' "${#type}" "$type" "$(stat -c %s "$payload")"; cat "$payload"; } >"$work/pae"
  openssl dgst -sha256 -sign "$keys/$1.pem" -out "$work/sig" "$work/pae" || return 1
  printf '{"payloadType":"%s","payload":"%s","signatures":[{"keyid":"of another tool","sig":"%s"}]}' "$type" "$(base64 -w0 "$payload")" "$(base64 -w0 "$work/sig")" >"$2"
}
statement() { printf '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"model.bin","digest":{"sha256":"%s"}}],"predicateType":"%s","predicate":%s}' "$1" "$2" "$3"; }
tested() { statement "$1" https://in-toto.io/attestation/test-result/v0.1 "{\"result\":\"$3\",\"configuration\":[{\"name\":\"dataset:digits\",\"digest\":{\"sha256\":\"$data\"}}],\"metrics\":{\"accuracy\":$2}}"; }
built() { statement "$1" https://slsa.dev/provenance/v1 "{\"buildDefinition\":{\"buildType\":\"https://example.com/train\",\"externalParameters\":{},\"resolvedDependencies\":[$2]},\"runDetails\":{\"builder\":{\"id\":\"https://ci.example.com\"}}}"; }
manifest_of() { (cd "$1" && find . -type f -printf '%P\n' | sort | while read -r f; do printf '{"name":"%s","algorithm":"sha256","digest":"%s"}\n' "$f" "$(sha "$f")"; done) | jq -sc '{serialization:{method:"files"},resources:.}'; }
bom='{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"machine-learning-model","name":"m"}]}'

cat >"$work/demands.yaml" <<'Y'
- {kind: provenance, signers: [ci], subjects: [model.bin]}
- {kind: test-result, signers: [lab], dataset: digits, metric: accuracy, min: 0.95, subjects: ["*.bin"]}
- {kind: file-manifest}
Y
openssl genpkey -algorithm ed25519 -out "$keys/ed.pem" 2>/dev/null && openssl pkey -in "$keys/ed.pem" -pubout -out "$keys/ed.pub.pem"
expect "an Ed25519 key of openssl's may sign" ctl model create ed --signer "ed=$keys/ed.pub.pem"
expect "as what it is" test "$(ctl model get ed -o json | jq -r .signers.ed.keytype)" = ed25519
expect_code "a demand on a signer whom nobody knows is refused" 2 ctl model create m --demands "$work/demands.yaml"
expect "a model with demands is made" ctl model create m --signer "ci=$keys/ci.pub.pem" --signer "lab=$keys/lab.pub.pem" --demands "$work/demands.yaml"
expect "they are shown" test "$(ctl model get m -o json | jq -r '.demands | length')" = 3
make_release "$work/v1" one
one=$(sha "$work/v1/model.bin")
tested "$one" 0.97 PASSED | attest lab "$work/test.json"
built "$one" "{\"name\":\"dataset:faces\",\"digest\":{\"sha256\":\"$data\"}},{\"uri\":\"git+https://example.com/train\",\"digest\":{\"gitCommit\":\"abc\"}}" | attest ci "$work/prov.json"
statement "$one" https://model_signing/signature/v1.0 "$(manifest_of "$work/v1")" | attest ci "$work/files.json"
statement "$one" https://cyclonedx.org/bom "$bom" | attest ci "$work/bom.json"
# try VERSION [FILE...]: publishes the first release's files with these envelopes
try() { local version=$1 words=() file; shift; for file in "$@"; do words+=(--attestation "$file"); done; ctl release publish --model m --version "$version" --variant "cam-a=$work/v1" "${words[@]}" -o name; }
refuses_as() { local what=$1 code=$2 exit=$3; shift 3; expect_code "$what" "$exit" try x "$@"; expect "$what: named" grep -q "$code" "$work/last.err"; }

refuses_as "without evidence" "evidence_missing" 1
expect "each demand that is not met is told" test "$(grep -c '/demands/' "$work/last.err")" = 3
expect "with what was expected" grep -q 'expected test-result with accuracy >= 0.95 on data set digits about \*.bin by 1 of lab; got none' "$work/last.err"
tested "$one" 0.90 PASSED | attest lab "$work/low.json"
refuses_as "a measure that is too low" "accuracy is 0.9" 1 "$work/prov.json" "$work/low.json" "$work/files.json"
tested "$one" 0.99 PASSED | attest ci "$work/by-ci.json"
refuses_as "a test by the wrong signer" "got none" 1 "$work/prov.json" "$work/by-ci.json" "$work/files.json"
tested "$one" 0.99 PASSED | attest stranger "$work/by-stranger.json"
refuses_as "a stranger's statement" "unknown_signer" 4 "$work/by-stranger.json"
jq -c '.payload |= (@base64d | sub("0.97"; "0.99") | @base64)' "$work/test.json" >"$work/changed.json"
refuses_as "a payload that was changed" "unknown_signer" 4 "$work/changed.json"
tested "$(printf other | sha256sum | cut -d' ' -f1)" 0.99 PASSED | attest lab "$work/foreign.json"
refuses_as "a statement of other files" "statement_mismatch" 1 "$work/foreign.json"
statement "$one" https://example.com/mine '{}' | attest ci "$work/type.json"
refuses_as "a type that is not taken" "bad_statement" 1 "$work/type.json"
for change in '.resources[0].name = "../model.bin"' '.resources[0].name = "/etc/passwd"' '.resources += [.resources[0]]'; do
  statement "$one" https://model_signing/signature/v1.0 "$(manifest_of "$work/v1" | jq -c "$change")" | attest ci "$work/m.json"
  refuses_as "a manifest with $change" "bad_statement" 1 "$work/m.json"
done
for change in 'del(.resources[0])' '.resources[0].name = "other.bin"' ".resources[0].digest = \"$data\""; do
  statement "$one" https://model_signing/signature/v1.0 "$(manifest_of "$work/v1" | jq -c "$change")" | attest ci "$work/m.json"
  refuses_as "a manifest with $change" "statement_mismatch" 1 "$work/m.json"
done
built "$one" "{\"name\":\"model:m@9\",\"digest\":{\"sha256\":\"$one\"}}" | attest ci "$work/orphan.json"
refuses_as "a parent that is not known" "unknown_parent" 3 "$work/orphan.json" "$work/test.json" "$work/files.json"
make_release "$work/evil" evil
old_for_new() { ctl release publish --model m --version x --variant "cam-a=$work/evil" --variant "cam-z=$work/v1" --attestation "$work/prov.json" --attestation "$work/test.json" --attestation "$work/files.json"; }
expect_code "what was attested of one variant lets no other in" 1 old_for_new
expect "by each demand" test "$(grep -c '/demands/' "$work/last.err")" = 3
expect "nothing of it was published" test "$(ctl release list --model m -o name)" = ""

expect "with all of it the release is published" try 1 "$work/prov.json" "$work/test.json" "$work/files.json" "$work/bom.json"
expect "it shows its evidence" test "$(ctl release get m@1 -o json | jq -c '[.attestations[] | .kind + " by " + .signers[0]]')" = '["provenance by ci","test-result by lab","file-manifest by ci","bom by ci"]'
expect "its data set came from the provenance" test "$(ctl release get m@1 -o json | jq -r '.datasets[0].name')" = faces
bytes() { ctl api GET "/api/v1/models/m/releases/1/attestations" | jq -r '.items[1].envelope' | base64 -d; }
expect "the bytes are kept as they were" cmp -s <(bytes) "$work/test.json"
ctl trust export-root >"$work/root.json"
expect_code "anybody may verify it again" 0 ctl release verify m@1 --root "$work/root.json" --path "cam-a=$work/v1"
expect "but for the demands, which are the server's word" grep -qE 'demands +left out +3 by the server' "$work/last.out"
own=(--signer "ci=$keys/ci.pub.pem" --signer "lab=$keys/lab.pub.pem" --demands "$work/demands.yaml")
expect_code "by one's own demands, too" 0 ctl release verify m@1 --root "$work/root.json" --path "cam-a=$work/v1" "${own[@]}"
sql "$work/server" "UPDATE models SET evidence = '{\"signers\":{},\"demands\":[]}'"
expect_code "a server that demands nothing any more" 4 ctl release verify m@1 --root "$work/root.json"
sed 's/0.95/0.98/' "$work/demands.yaml" >"$work/more.yaml"
expect_code "or less than oneself, convinces nobody" 4 ctl release verify m@1 --root "$work/root.json" --signer "ci=$keys/ci.pub.pem" --signer "lab=$keys/lab.pub.pem" --demands "$work/more.yaml"
ctl model set m --signer "ci=$keys/ci.pub.pem" --signer "lab=$keys/lab.pub.pem" --demands "$work/demands.yaml" >/dev/null
ctl release verify m@1 --root "$work/root.json" --path "cam-a=$work/v1" >"$work/last.out"
expect "which tells an approver what was said" grep -q 'test-result by lab: PASSED, accuracy 0.97, on digits' "$work/last.out"
echo x >>"$work/v1/model.bin"
expect_code "files that were changed since are found" 4 ctl release verify m@1 --root "$work/root.json" --path "cam-a=$work/v1"
expect "by name" grep -q 'model.bin: digest' "$work/last.out"

# A child: its parent is in the provenance, and must stand.
make_release "$work/v1" two; two=$(sha "$work/v1/model.bin")
built "$two" "{\"name\":\"model:m@1\",\"digest\":{\"sha256\":\"$one\"},\"annotations\":{\"relation\":\"quantized\"}}" | attest ci "$work/prov.json"
tested "$two" 0.96 PASSED | attest lab "$work/test.json"
statement "$two" https://model_signing/signature/v1.0 "$(manifest_of "$work/v1")" | attest lab "$work/files.json"
expect "a child is published" try 2 "$work/prov.json" "$work/test.json" "$work/files.json"
expect "its lineage is its evidence" test "$(ctl release lineage m@2 | tail -n 1)" = "└─ m@1 (quantized)"
ctl release revoke m@1 --yes --reason test >/dev/null
expect_code "nothing is made from a revoked one" 6 try 3 "$work/prov.json" "$work/test.json" "$work/files.json"
expect_code "and verify tells that a parent fell" 4 ctl release verify m@2
expect "by name" grep -q 'parent m@1 .*revoked' "$work/last.out"
