#!/usr/bin/env bash
# CI systems' identity tokens: a local issuer over TLS, what its tokens are good for, and each way to forge one.
. "$(dirname "$0")/lib.sh"
issuer_tool=$here/../support/oidc_issuer.py
idp=$work/idp
mkdir "$idp"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$idp/tls.key" -out "$idp/tls.pem" -subj /CN=issuer -addext subjectAltName=DNS:localhost -days 2 2>/dev/null
for name in rsa foreign; do openssl genrsa -out "$idp/$name.key" 2048 2>/dev/null; done
openssl ecparam -name prime256v1 -genkey -noout -out "$idp/ec.key"
python3 "$issuer_tool" serve "$idp" 2>"$work/issuer.log" &
others+=($!) issuer_pid=$!
until_true 10 test -s "$idp/port" || fail "the issuer does not start"
issuer=https://localhost:$(cat "$idp/port")

init_server; start_server
ctl model create m >/dev/null; ctl model create other >/dev/null; ctl model create strict --approvals 1 >/dev/null
role() { local name=$1; shift; ctl role create "$name" --issuer "$issuer" --issuer-ca "$idp/tls.pem" --audience https://fleet.test --repository acme/reader "$@" >/dev/null || fail "role $name"; }
role ci --role publisher --model m --ref refs/heads/main
role tags --role viewer --ref-prefix refs/tags/v
role desk --role approver --ref refs/heads/main
role build --role publisher --model strict --ref refs/heads/main
expect "roles are listed" test "$(ctl role list -o name | tr '\n' ' ')" = "viewer operator publisher approver admin build ci desk tags "
expect_code "a role that is one already" 6 ctl role create ci --role viewer --issuer "$issuer" --issuer-ca "$idp/tls.pem" --audience a --repository r --ref x
expect_code "no admin for a CI system" 2 ctl api POST /roles --data '{"name":"a","role":"admin","issuer":"https://i","issuer_ca":"x","audience":"a","repository":"r","ref":"x"}'
expect "and it says why" grep -q "expected viewer, operator, publisher or approver, got 'admin'" "$work/last.err" "$work/last.out"

mint() { python3 "$issuer_tool" mint "$idp" "$@"; }
# No credential but the identity token.
exchange() { env -u FLEETCTL_TOKEN_FILE "$bin/fleetctl" --no-color --timeout 5s auth exchange --role "$1" --oidc-token-file "$2" --to "$3"; }
mint rs256 >"$work/id.jwt"
expect "an identity token is good for a token" exchange ci "$work/id.jwt" "$work/ci.token"
expect "which its owner alone reads" test "$(stat -c %a "$work/ci.token")" = 600
mint es256 >"$work/es.jwt"
expect "ES256, too" exchange ci "$work/es.jwt" "$work/es.token"
as_ci() { ctl --token-file "$work/ci.token" "$@"; }
expect "it is the repository" test "$(as_ci auth status -o json | jq -r '.identity + " " + .role + " " + .model')" = "oidc:acme/reader@localhost:$(cat "$idp/port") publisher m"
make_release "$work/v1" one
expect "it publishes" as_ci release publish --model m --version 1 --variant "cam-a=$work/v1" -o name
expect_code "but not to another model" 4 as_ci release publish --model other --version 1 --variant "cam-a=$work/v1"
expect_code "nor does it operate" 4 as_ci device token create

refuse() { # WHAT EXIT ROLE KIND [CLAIM=VALUE...]
  local what=$1 code=$2 role=$3; shift 3
  mint "$@" >"$work/bad.jwt"
  expect_code "$what" "$code" exchange "$role" "$work/bad.jwt" "$work/bad.token"
}
given=$(ctl token list -o json | jq '.items | length')
refuse "no signature" 2 ci none
refuse "no algorithm, but a signature" 2 ci none-signed
refuse "HS256 with the public key" 2 ci hs256
refuse "signed by another key" 4 ci foreign
refuse "another key of the issuer" 4 ci other-key
refuse "an algorithm that is not the key's" 4 ci other-algorithm
refuse "ES256 that names an RSA key" 4 ci es256-by-rsa-key
refuse "a key that is for encryption" 4 ci encryption-key
refuse "a key that nobody knows" 4 ci unknown-key
refuse "no key named" 2 ci no-key
refuse "a key brought along" 2 ci jwk
refuse "an address of keys brought along" 2 ci jku
refuse "a chain brought along" 2 ci x5c
refuse "unknown extensions" 2 ci crit
refuse "an access token" 2 ci at+jwt
refuse "a changed payload" 4 ci tampered repository=acme/other
refuse "expired" 4 ci rs256 iat=now-700 nbf=now-700 exp=now-120
refuse "not valid yet" 4 ci rs256 nbf=now600
refuse "issued in the future" 4 ci rs256 iat=now600 exp=now900
refuse "good for days" 4 ci rs256 exp=now200000
refuse "no expiry" 2 ci rs256 exp=
refuse "another audience" 4 ci rs256 aud=https://other.test
refuse "ours among others" 4 ci rs256 'aud=["https://fleet.test","https://other.test"]'
refuse "another issuer" 4 ci rs256 iss=https://evil.test
refuse "another repository" 4 ci rs256 repository=acme/reader2
refuse "no repository" 4 ci rs256 repository=
refuse "the repository in another case" 4 ci rs256 repository=Acme/reader
refuse "another ref" 4 ci rs256 ref=refs/heads/main2
refuse "a pull request" 4 ci rs256 ref=refs/pull/1/merge
refuse "a role for tags" 4 tags rs256
refuse "an unknown role" 3 nobody rs256
refuse "a role of tokens" 3 admin rs256
expect "none of them gave a token" test "$(ctl token list -o json | jq '.items | length')" = "$given"
expect "nor a file" test ! -e "$work/bad.token"
mint rs256 ref=refs/tags/v1.2 >"$work/tag.jwt"
expect "a ref that begins as its role says" exchange tags "$work/tag.jwt" "$work/tag.token"

before=$(wc -l <"$idp/requests")
for _ in 1 2 3 4 5 6; do mint unknown-key >"$work/bad.jwt"; exchange ci "$work/bad.jwt" "$work/bad.token" >/dev/null 2>&1; done
expect "strangers do not make the server call out" test "$(wc -l <"$idp/requests")" -le $((before + 2))

exchange build "$work/id.jwt" "$work/build.token" 2>/dev/null; exchange desk "$work/id.jwt" "$work/desk.token" 2>/dev/null
expect "a repository publishes" ctl --token-file "$work/build.token" release publish --model strict --version 1 --variant "cam-a=$work/v1" -o name
expect_code "and cannot approve it by another role" 4 ctl --token-file "$work/desk.token" release approve strict@1 --reason self
expect "for it is one identity" grep -q own_release "$work/last.err"
ctl token create ann-ci --role publisher --user ann >"$work/ann-ci"; ctl token create ann --role approver --user ann >"$work/ann"; ctl token create bob --role approver --user bob >"$work/bob"
expect "a person publishes" ctl --token-file "$work/ann-ci" release publish --model strict --version 2 --variant "cam-a=$work/v1" -o name
expect_code "and cannot approve it with another token" 4 ctl --token-file "$work/ann" release approve strict@2 --reason self
expect "another person can" ctl --token-file "$work/bob" release approve strict@2 --reason reviewed

expect "the log tells who, by which claims" test "$(ctl audit list -o json | jq '[.items[] | select(.action == "token.exchanged" and (.actor | startswith("oidc:acme/reader@")) and .after.claims.sub == "repo:acme/reader:ref:refs/heads/main")] | length')" -ge 2
ctl role delete ci --yes >/dev/null
expect_code "with the role its tokens go" 4 as_ci auth status
expect_code "and there are no more" 3 exchange ci "$work/id.jwt" "$work/again.token"

kill "$issuer_pid"; wait "$issuer_pid" 2>/dev/null
expect "known keys outlive the issuer for a while" exchange tags "$work/tag.jwt" "$work/tag2.token"
kill_server; start_server
expect_code "but a server that knows none trusts none" 8 exchange tags "$work/tag.jwt" "$work/tag3.token"
python3 "$issuer_tool" serve "$idp" 2>>"$work/issuer.log" &
others+=($!)
until_true 10 test "https://localhost:$(cat "$idp/port")" != "$issuer"
issuer=https://localhost:$(cat "$idp/port")
role honest --role viewer --ref refs/heads/main
issuer=$issuer/liar role liar --role viewer --ref refs/heads/main
ctl role create ca --role viewer --issuer "$issuer" --issuer-ca "$FLEETCTL_CA" --audience https://fleet.test --repository acme/reader --ref refs/heads/main >/dev/null
mint rs256 >"$work/new.jwt"
expect_code "an issuer whose certificate is not the role's" 8 exchange ca "$work/new.jwt" "$work/ca.token"
expect_code "an issuer whose discovery is of another" 8 exchange liar "$work/new.jwt" "$work/liar.token"
expect "the right one goes on" exchange honest "$work/new.jwt" "$work/honest.token"
expect "no secret and no identity token is in the log" test "$(grep -cFf <(cat "$work"/*.jwt "$work"/*.token) "$work/server.log")" = 0
