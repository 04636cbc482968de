#!/usr/bin/env bash
# Files from sources that are no servers of ours: plain HTTP, and a CA of the owner's; and from one that lies.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
mkdir -p "$work/mirror/blobs/sha256"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/tls.key" -out "$work/tls.pem" -subj /CN=mirror -addext subjectAltName=IP:127.0.0.1 -days 2 2>/dev/null
# serve NAME FOLDER [CERTIFICATE KEY]: its port is in NAME.port, what it was asked for in NAME.log
serve() { python3 "$here/../support/mirror.py" "$work/$1.port" "${@:2}" 2>"$work/$1.log" & others+=($!); until_true 10 test -s "$work/$1.port" || fail "the mirror does not start"; }
serve plain "$work/mirror"; serve tls "$work/mirror" "$work/tls.pem" "$work/tls.key"
plain=http://127.0.0.1:$(cat "$work/plain.port") tls=https://127.0.0.1:$(cat "$work/tls.port")
new_agent plain; echo "sources: [\"$plain/\"]" >>"$work/plain/agent.yaml"
new_agent tls; printf 'sources: ["%s"]\nsources_ca: mirror.pem\n' "$tls" >>"$work/tls/agent.yaml"
new_agent wary; echo "sources: [\"$tls\"]" >>"$work/wary/agent.yaml"
expect_code "certificates that are not there are a mistake in agent.yaml" 2 "$bin/fleet-agent" check-config --root "$work/tls"
cp "$work/tls.pem" "$work/tls/mirror.pem"
expect "and then none" "$bin/fleet-agent" check-config --root "$work/tls"
make_release "$work/v1" one
publish 1 "$work/v1"
sum=$(sha256sum "$work/v1/model.bin" | cut -d' ' -f1)
blob=$work/server/blobs/${sum:0:2}/$sum
cp "$blob" "$work/mirror/blobs/sha256/$sum"; mv "$blob" "$work/kept"
start_agent plain; start_agent tls; start_agent wary
r=$(roll_out 1)
expect "a file comes by plain HTTP" until_true 40 content_is plain one
expect "and from a server that the owner's CA proves" until_true 40 content_is tls one
for name in plain tls; do expect "$name was asked for files alone" test "$(grep -oE '"[A-Z]+ /[a-z/0-9]*' "$work/$name.log" | grep -vcE '"GET /blobs/sha256/[0-9a-f]{64}$')" = 0; done
expect "who is not proved is not believed" test -z "$(cat "$work/wary/models/m/current/model.bin" 2>/dev/null)"
mv "$work/kept" "$blob"
expect "the server brings it then" until_true 60 content_is wary one
expect "all is told" ctl rollout wait "$r" --timeout 60s
make_release "$work/v2" two
publish 2 "$work/v2"
sum=$(sha256sum "$work/v2/model.bin" | cut -d' ' -f1)
echo not >"$work/mirror/blobs/sha256/$sum"
r=$(roll_out 2)
expect "a mirror that lies costs time alone" ctl rollout wait "$r" --timeout 60s
expect "and the right bytes are there" content_is plain two
