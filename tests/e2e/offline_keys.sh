#!/usr/bin/env bash
# Keys leave the server: thresholds, signing by files with no network, rotation and revocation of keys, roots that devices follow after a long sleep,
# and a thief of the whole server who then ships nothing.
. "$(dirname "$0")/lib.sh"
. "$here/thief.sh"
init_server; start_server
ctl model create m >/dev/null
make_release "$work/v1" v1; publish 1 "$work/v1"
new_agent d1; start_agent d1
new_agent sleeper; start_agent sleeper
expect "1 is rolled out while the server keeps all keys" ctl rollout wait "$(roll_out 1)" --timeout 30s
expect "trust status says so" test "$(ctl trust status -o json | jq -r .mode)" = managed
ctl trust export-root >"$work/pinned.json"
kill_agent sleeper

# Keys of people. The one who signs has no network: the server's address leads nowhere there.
keys=$work/people; mkdir "$keys"
echo "alice has a long passphrase" >"$keys/pass"
apart() { env -u FLEETCTL_CA -u FLEETCTL_TOKEN_FILE FLEETCTL_SERVER=https://192.0.2.1:1 "$bin/fleetctl" --no-color -q "$@"; }
for name in alice bob carol dave erin frank; do expect "$name has a key" apart trust offline keygen --out "$keys/$name.key"; done
expect "grace's is sealed" apart trust offline keygen --out "$keys/grace.key" --passphrase-file "$keys/pass"
expect "it does not lie there plain" bash -c "! grep -qaE '^[0-9a-f]{64}$' '$keys/grace.key'"
expect_code "a key is never replaced" 6 apart trust offline keygen --out "$keys/alice.key"
signs() { local file=$1 words=(); shift; for name in "$@"; do words+=(--key "$keys/$name.key"); done; apart trust offline sign "$file" --yes --passphrase-file "$keys/pass" "${words[@]}"; }
held() { ctl trust status -o json | jq -r --arg r "$1" '.roles[] | select(.role == $r) | .held + " " + (.threshold | tostring) + "/" + (.keys | length | tostring)'; }
public() { for name in "$@"; do printf -- '--key %s ' "$keys/$name.key.pub"; done; }
move() { local role=$1 threshold=$2; shift 2; rm -f "$work/$role.json"; ctl trust offline prepare "$role" $(public "$@") --threshold "$threshold" --out "$work/$role.json" >"$work/told"; }

expect_code "a threshold that no one can meet is refused" 2 move m-m 4 alice bob carol
expect_code "a role that stays with the server is refused by name" 2 move timestamp 1 alice
expect "the model's role goes to 2 of 3" move m-m 2 alice bob carol
expect "the signer reads who shall sign" grep -q '+ role m-m  2 of 3' "$work/told"
expect "one of them signs" signs "$work/m-m.json" alice
expect_code "one is not enough" 4 ctl trust offline import "$work/m-m.json"
expect "and nothing changed" test "$(held m-m)" = "here 1/1"
expect "another signs" signs "$work/m-m.json" carol
expect "it is imported" ctl trust offline import "$work/m-m.json"
expect "the model's key is elsewhere" test "$(held m-m)" = "elsewhere 2/3"
expect "and no longer on the server's disk" test ! -e "$work/server/keys/m-m.key"
expect_code "the same file again is stale" 6 ctl trust offline import "$work/m-m.json"
move targets 2 alice bob carol && signs "$work/targets.json" alice bob
expect "targets go to 2 of 3" ctl trust offline import "$work/targets.json"
move root 3 alice bob carol dave erin && signs "$work/root.json" alice bob
expect_code "the root wants 3 of 5" 4 ctl trust offline import "$work/root.json"
signs "$work/root.json" erin
expect "and has them" ctl trust offline import "$work/root.json"
expect "they are all elsewhere" test "$(held root) $(held targets) $(held m-m)" = "elsewhere 3/5 elsewhere 2/3 elsewhere 2/3"
expect "trust status says so" test "$(ctl trust status -o json | jq -r .mode)" = offline
expect_code "the directive root goes to somebody" 2 ctl trust offline prepare directive-root --out "$work/none.json"
move directive-root 2 alice bob carol
expect "its signer reads that the server has a new key for directives" test "$(grep -c '[+-] role targets' "$work/told")" = 2
signs "$work/directive-root.json" alice
expect_code "the directive root wants 2 of 3" 4 ctl trust offline import "$work/directive-root.json"
signs "$work/directive-root.json" bob
expect "and has them" ctl trust offline import "$work/directive-root.json"
expect "it is elsewhere" test "$(held directive-root)" = "elsewhere 2/3"
expect_code "the server does not rotate it" 8 ctl trust rotate directive-root --yes --reason test
expect "none of their keys is on the disk" bash -c "! ls '$work'/server/keys/{root,targets,m-m}.key 2>/dev/null"
expect_code "the server cannot rotate what it does not have" 8 ctl trust rotate root --yes --reason test

# Releases are drafts until the owners signed.
make_release "$work/v2" v2; publish 2 "$work/v2"
expect "what is published is a draft" test "$(ctl release get m@2 -o json | jq -r .state)" = draft
expect_code "which is not rolled out" 6 ctl rollout create --release m@2 --all --policy "$work/policy.yaml" --start
ctl trust offline prepare m-m --release 2 --out "$work/r2.json" >"$work/told"
expect "the signers read which release" grep -q '+ models/m/2/release.json .* sha256 [0-9a-f]\{64\}' "$work/told"
signs "$work/r2.json" alice dave
expect_code "dave has no say in it" 4 ctl trust offline import "$work/r2.json"
signs "$work/r2.json" bob
jq -c '.files[0].after.signed.targets["models/m/2/release.json"].length += 1' "$work/r2.json" >"$work/changed.json"
expect_code "a file that was changed after signing is refused" 4 ctl trust offline import "$work/changed.json"
expect "two of three approve it" ctl trust offline import "$work/r2.json"
expect "the release is approved" test "$(ctl release get m@2 -o json | jq -r .state)" = approved
r=$(roll_out 2)
expect "the device follows the new keys, and takes it" until_true 30 content_is d1 v2
ctl rollout abort "$r" --yes --reason "one device sleeps" >/dev/null

# Keys change: bob's is revoked in every role, grace's comes. The root goes through three versions while a device sleeps.
move root 3 alice carol dave erin grace && signs "$work/root.json" alice bob dave grace
expect "bob leaves the root" ctl trust offline import "$work/root.json"
move targets 2 alice carol grace && signs "$work/targets.json" alice carol dave grace
expect "and the targets: the root names them" ctl trust offline import "$work/targets.json"
move m-m 2 alice carol grace && signs "$work/m-m.json" alice grace
expect "and the model" ctl trust offline import "$work/m-m.json"
make_release "$work/v3" v3; publish 3 "$work/v3"
ctl trust offline prepare m-m --release 3 --out "$work/r3.json" >/dev/null; signs "$work/r3.json" bob alice
expect_code "bob's signature counts no more" 4 ctl trust offline import "$work/r3.json"
signs "$work/r3.json" grace
expect "grace's does" ctl trust offline import "$work/r3.json"
start_agent sleeper
expect "3 is rolled out" ctl rollout wait "$(roll_out 3)" --timeout 30s
expect "to the device that slept through four roots" content_is sleeper v3
expect "audit tells who brought it" bash -c "'$bin/fleetctl' audit list --action trust.imported -o jsonl | grep -q m-m"

# Where the keys have a network: publisher and approver sign, each after checking all of it from the root that was pinned at the beginning.
ctl model set m --approvals 1 >/dev/null
for role in publisher approver; do ctl token create "$role" --role "$role" -o json | jq -r .secret >"$work/$role.token"; done
as() { FLEETCTL_TOKEN_FILE=$work/$1.token ctl "${@:2}"; }
make_release "$work/v35" v35
publish_signed() { as publisher release publish --model m --version 3.5 --variant "cam-a=$work/v35" --root "$1" --key "$keys/$2.key" --passphrase-file "$keys/pass" --proposal "$work/p.json"; }
approve_signed() { as approver release approve m@3.5 --reason tested --root "$work/pinned.json" --key "$keys/$1.key" --passphrase-file "$keys/pass" --proposal "$work/p.json"; }
"$bin/fleet-server" init --data "$work/foreign" --host localhost >/dev/null
sqlite3 "$work/foreign/fleet.db" "SELECT CAST(bytes AS TEXT) FROM metadata WHERE repository = 'release' AND role = 'root'" >"$work/foreign.json"
expect_code "a root that is none is told before anything is sent" 2 publish_signed "$work/r3.json" alice
expect "as the proposal it is" grep -q 'it is a proposal' "$work/last.err"
expect_code "nor is anything published for a key that is not there" 3 publish_signed "$work/pinned.json" nobody
expect_code "nothing is there" 3 ctl release get m@3.5
expect_code "a file that may hold signatures is not written over" 6 ctl trust offline prepare m-m --release 3 --out "$work/r3.json"
expect_code "nothing is signed that another root does not trust" 4 publish_signed "$work/foreign.json" alice
expect "nor kept" test ! -e "$work/p.json"
expect_code "the publisher signs, and one more must" 9 publish_signed "$work/pinned.json" alice
expect "it is a draft" test "$(ctl release get m@3.5 -o json | jq -r .state)" = draft
jq -c '.files[0].after.signed.targets["models/m/9/release.json"] = .files[0].after.signed.targets["models/m/3.5/release.json"]' "$work/p.json" >"$work/more.json"
cp "$work/p.json" "$work/kept.json"; cp "$work/more.json" "$work/p.json"
expect_code "the approver's tool signs nothing that adds more" 4 approve_signed carol
expect "and says so" grep -q unexpected_change "$work/last.err"
cp "$work/kept.json" "$work/p.json"
expect "the approver signs" approve_signed carol
expect "it is approved" test "$(ctl release get m@3.5 -o json | jq -r .state)" = approved
expect "again is fine" approve_signed carol
ctl model set m --approvals 0 >/dev/null

# A new model, where the server cannot name its keys.
expect "a model is made" ctl model create n
ctl trust offline prepare m-n $(public carol) --out "$work/n.json" >/dev/null; signs "$work/n.json" alice carol grace
expect "the owners of the targets say who signs for it" ctl trust offline import "$work/n.json"
expect "from the beginning elsewhere" test "$(held m-n)" = "elsewhere 1/1"

# The server starts again, is checked, and all of it is stolen.
kill_server; start_server
expect "it is sound" "$bin/fleet-server" check --data "$work/server"
make_release "$work/evil" evil; publish evil "$work/evil"
steal stolen
go_home d1; new_agent n1; refuses n1 update not_signed none evil; kill_agent n1
new_agent n2; refuses n2 update threshold_unmet forged-role evil; kill_agent n2
refuses d1 update threshold_unmet forged-root evil
refuses d1 poll threshold_unmet forged-directive-root 3
expect "the device runs what its owners approved" content_is d1 v3
go_home d1
make_release "$work/v4" v4; publish 4 "$work/v4"
ctl trust offline prepare m-m --release 4 --out "$work/r4.json" >/dev/null; signs "$work/r4.json" alice carol
expect "the owners approve the next one" ctl trust offline import "$work/r4.json"
expect "and it arrives" ctl rollout wait "$(roll_out 4)" --timeout 40s
expect "revoking needs nobody's key" ctl release revoke m@4 --yes --reason test
expect "a running server stops handing it out" test "$(ctl release get m@4 -o json | jq -r .state)" = revoked
ctl trust offline prepare m-m --out "$work/gone.json" >"$work/told"
expect "the owners' signature takes it out of the metadata" grep -q -- '- models/m/4/release.json' "$work/told"
signs "$work/gone.json" alice grace
expect "for good" ctl trust offline import "$work/gone.json"

# Of what was stolen the key for directives still counts. The owners take it away.
taken() { tail -n +"$((lines + 1))" "$work/d1.agent.log" | grep -q directive.accepted; }
lie stolen none 2; meet d1
expect "the thief's directives are still taken" until_true 20 taken
end_lie
go_home d1
ctl trust offline prepare directive-root --out "$work/again.json" >/dev/null; signs "$work/again.json" bob carol
expect "the owners' signature brings the server a new key for directives" ctl trust offline import "$work/again.json"
make_release "$work/v5" v5; publish 5 "$work/v5"
ctl trust offline prepare m-m --release 5 --out "$work/r5.json" >/dev/null; signs "$work/r5.json" alice grace
expect "they approve a release" ctl trust offline import "$work/r5.json"
expect "the device takes directives by the new key" ctl rollout wait "$(roll_out 5)" --timeout 40s
expect "and what they order" content_is d1 v5
refuses d1 poll threshold_unmet none 2
go_home d1
expect "what runs goes on" content_is d1 v5
