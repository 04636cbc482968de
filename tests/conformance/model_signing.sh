#!/usr/bin/env bash
# OpenSSF's model_signing, from PyPI, signs a model as its own users do; we take its bundle as evidence, and it verifies the bundle that we kept.
# usage: model_signing.sh BIN MODEL_SIGNING
set -- "$(cd "$1" && pwd)" "$(readlink -f "$(dirname "$2")")/$(basename "$2")"
tool=$2
. "$(dirname "$0")/../e2e/lib.sh"
init_server; start_server
openssl ecparam -name prime256v1 -genkey -noout -out "$work/key.pem" && openssl ec -in "$work/key.pem" -pubout -out "$work/key.pub.pem" 2>/dev/null
echo '- {kind: file-manifest, signers: [lab]}' >"$work/demands.yaml"
expect "a model demands a manifest by lab" ctl model create m --signer "lab=$work/key.pub.pem" --demands "$work/demands.yaml"
make_release "$work/v1" one
echo cat >"$work/v1/labels.txt"
try() { ctl release publish --model m --version "$1" --variant "cam-a=$work/v1" "${@:2}"; }
expect_code "without it nothing is published" 1 try 1
expect "model_signing signs" "$tool" sign key "$work/v1" --private_key "$work/key.pem" --signature "$work/m.sig"
expect "its bundle is taken as it is" try 1 --attestation "$work/m.sig"
ctl trust export-root >"$work/root.json"
expect "and verified again from a pinned root" ctl release verify m@1 --root "$work/root.json" --path "cam-a=$work/v1"
ctl api GET "/api/v1/models/m/releases/1/attestations" | jq -r '.items[0].envelope' | base64 -d >"$work/kept.sig"
expect "model_signing verifies what we kept" "$tool" verify key "$work/v1" --signature "$work/kept.sig" --public_key "$work/key.pub.pem"
echo dog >>"$work/v1/labels.txt"
expect_code "a file that changed since is refused" 1 try 2 --attestation "$work/m.sig"
expect "by name" grep -q statement_mismatch "$work/last.err"
