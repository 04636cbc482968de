#!/usr/bin/env bash
# Releases by file: export, inspect without an account, install by the running agent with no server in reach, receipts back by file, each result once; what is
# foreign, old, changed or cut is refused, and a device that comes back keeps what a bundle brought.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
new_agent d1; new_agent d2; new_agent d3
manifest=$work/manifest.yaml
printf '%s\nprobation: {time: 1s}\n' "$golden" >"$manifest"
for v in 1 2 3 4 5; do make_release "$work/v$v" "release $v"; publish "$v" "$work/v$v" --manifest "$manifest"; done
start_agent d1; start_agent d2
expect "the first release comes over the network" ctl rollout wait "$(roll_out 1)" --timeout 60s
kill_agent d1; kill_agent d2
# A daemon that listens: kill -9 leaves the socket of the one before.
agent_up() { rm -f "$work/$1/run/agent.sock"; start_agent "$1"; until_true 10 test -S "$work/$1/run/agent.sock" || fail "the agent $1 does not start"; }
agent_install() { "$bin/fleet-agent" install "$work/$1" --root "$work/$2" --timeout 60s "${@:3}"; }

expect_code "a bundle names its devices" 2 ctl bundle export --release m@2 --to "$work/none.bundle"
expect_code "a release that is not there makes none" 3 ctl bundle export --release m@9 --device d1 --to "$work/none.bundle"
expect "a release, its metadata and orders are one file" ctl bundle export --release m@2 --device d1 --device d2 --expires 30d --to "$work/two.bundle"
expect_code "an export does not write over a file" 6 ctl bundle export --release m@2 --device d1 --to "$work/two.bundle"
expect "any tar reads it" test "$(tar tf "$work/two.bundle" | grep -c '^blobs/sha256/')" -eq 3
inspect() { env -u FLEETCTL_SERVER -u FLEETCTL_CA -u FLEETCTL_TOKEN_FILE "$bin/fleetctl" bundle inspect "$@"; }
expect "whoever has no account sees that it is sound, by roots that he pinned" inspect "$work/two.bundle" --tuf-root "$work/d1/state/tuf/root.json" --directive-root "$work/d1/state/directive-tuf/root.json"
expect "and for whom it is" test "$(inspect "$work/two.bundle" -o json | jq -r '[.devices[].device] | join(" ")')" = "d1 d2"
expect_code "roots of another fleet do not sign it" 4 inspect "$work/two.bundle" --tuf-root "$work/d1/state/directive-tuf/root.json"

kill_server
agent_up d1; agent_up d3
expect_code "without a daemon nobody installs" 8 agent_install two.bundle d2
expect "with no server in reach it is installed, tested and proved" agent_install two.bundle d1 --receipt "$work/d1.receipt"
expect "and runs" content_is d1 "release 2"
expect "the same again is done already" agent_install two.bundle d1 --receipt "$work/d1.again"
expect_code "a device that it does not name refuses it" 4 agent_install two.bundle d3
cp "$work/two.bundle" "$work/changed.bundle"
at=$(grep -abo directives/ "$work/changed.bundle" | head -n 1 | cut -d: -f1)
printf 'x' | dd of="$work/changed.bundle" bs=1 seek=$((at + 512 + 300)) conv=notrunc 2>/dev/null
expect_code "a changed order is refused" 4 agent_install changed.bundle d1
head -c -2000 "$work/two.bundle" >"$work/cut.bundle"
expect_code "so is half a bundle" 2 agent_install cut.bundle d1
expect_code "and what is none" 2 agent_install manifest.yaml d1
agent_up d2
sum=$(sha256sum "$work/v2/model.bin" | cut -d' ' -f1)
cp "$work/two.bundle" "$work/lies.bundle"
at=$(grep -abo "blobs/sha256/$sum" "$work/lies.bundle" | tail -n 1 | cut -d: -f1)
printf 'R' | dd of="$work/lies.bundle" bs=1 seek=$((at + 512)) conv=notrunc 2>/dev/null
expect_code "inspect finds an object of other bytes" 4 inspect "$work/lies.bundle"
expect_code "an object of other bytes is no release" 7 "$bin/fleet-agent" install "$work/lies.bundle" --root "$work/d2" --timeout 2s
expect "and nothing was switched" content_is d2 "release 1"
expect "the right one brings it" agent_install two.bundle d2

kill_agent d1; kill_agent d2
start_server
expect "the server knows nothing of it yet" runs d1 1
seen() { ctl device get d1 -o json | jq -r .last_seen; }
last=$(seen)
ctl bundle accept "$work/d1.receipt" -o json >"$work/accepted"
expect "a receipt tells it what happened" test "$(jq '.items[0].new' "$work/accepted")" -gt 0
expect "and what runs" runs d1 2
expect "a receipt is no contact" test "$(seen)" = "$last"
before=$(ctl device history d1 -o json | jq '.items | length')
ctl bundle accept "$work/d1.receipt" "$work/d1.again" >/dev/null
expect "a result counts once, however often it is handed in" test "$(ctl device history d1 -o json | jq '.items | length')" -eq "$before"
expect "one of two has it" test "$(ctl bundle list -o json | jq '.items[0].taken')" -eq 1
sed 's/"device":"d1"/"device":"d2"/' "$work/d1.receipt" >"$work/foreign.receipt"
expect_code "a receipt under another name is refused" 4 ctl bundle accept "$work/foreign.receipt"

: >"$work/d1.agent.log"; agent_up d1; agent_up d2
expect "the other tells it itself at its next contact" until_true 20 runs d2 2
told() { [ "$(ctl device history "$1" -o json | jq '[.items[] | select(.state == "committed" and .version == "2")] | length')" -eq 1 ]; }
expect "who handed in a receipt and told it, too, told it once" told d1
heard() { grep -q directive.accepted "$work/d1.agent.log"; }
expect "back in contact it is told where it stands" until_true 20 heard
expect "and keeps what the bundle brought, whatever completed before" content_is d1 "release 2"
expect "and it is said why" bash -c "'$bin/fleetctl' device explain d1 | grep -q 'bundle'"
expect_code "an order that the server has overtaken is refused" 6 agent_install two.bundle d1
ctl bundle export --release m@3 -l id=d1 --to "$work/three.bundle" >/dev/null || fail "export"
expect "online, too, a bundle is taken, and stays" agent_install three.bundle d1
expect "the server knows it" until_true 20 runs d1 3
r=$(roll_out 4)
expect "a newer rollout goes on from there" ctl rollout wait "$r" --timeout 60s
expect "everywhere" content_is d1 "release 4"

mkdir "$work/depot"
ctl bundle export --release m@5 --device d1 --to "$work/depot/five.bundle" >/dev/null || fail "export"
env -u FLEETCTL_SERVER -u FLEETCTL_CA -u FLEETCTL_TOKEN_FILE "$bin/fleetctl" bundle serve "$work/depot" --listen 127.0.0.1:0 >"$work/depot.url" 2>"$work/depot.log" & others+=($!)
until_true 10 test -s "$work/depot.url" || fail "the depot does not start"
depot=$(cat "$work/depot.url") sum=$(sha256sum "$work/v5/model.bin" | cut -d' ' -f1)
expect "a depot gives objects to whoever asks, in parts, too" test "$(curl -s -r 0-6 "$depot/blobs/sha256/$sum")" = release
expect "and nothing else" test "$(curl -s -o /dev/null -w '%{http_code}' "$depot/tuf/timestamp.json")" = 404
mv "$work/server/blobs/${sum:0:2}/$sum" "$work/kept"
kill_agent d3; echo "sources: [\"$depot\"]" >>"$work/d3/agent.yaml"; agent_up d3
r=$(ctl rollout create --release m@5 -l id=d3 --policy "$work/policy.yaml" --start -o name)
expect "an agent of the depot takes them from there" ctl rollout wait "$r" --timeout 60s
expect "the server sent none" content_is d3 "release 5"
