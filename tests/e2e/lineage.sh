#!/usr/bin/env bash
# A data set turns out bad: which devices run what was made from it, and all of it recalled, each device back on what still stands.
. "$(dirname "$0")/lib.sh"
init_server; start_server
bad=$(printf 'a data set' | sha256sum | cut -d' ' -f1)
ctl model create m >/dev/null; ctl model create other >/dev/null
for v in 1 2 3 4; do make_release "$work/v$v" "v$v"; done
publish 1 "$work/v1"
publish 2 "$work/v2" --dataset "faces=sha256:$bad"
publish 3 "$work/v3" --parent m@2=finetune --parent m@1=merge
publish 4 "$work/v4" --parent m@3=quantized
ctl release publish --model other --version 1 --variant "cam-a=$work/v4" --parent m@4=distilled >/dev/null || fail "publishing other"
new_agent d1; start_agent d1; new_agent d2; start_agent d2
expect "1 is everywhere" ctl rollout wait "$(roll_out 1)" --timeout 30s
ctl device label d2 ring=canary >/dev/null
r4=$(ctl rollout create --release m@4 -l ring=canary --policy "$work/policy.yaml" --start -o name)
expect "4 is on the canary" ctl rollout wait "$r4" --timeout 30s
expect "its bytes are there" content_is d2 v4

ctl release lineage m@4 >"$work/tree"
expect "the tree shows what it was made from" diff - "$work/tree" <<'T'
m@4
└─ m@3 (quantized)
   ├─ m@2 (finetune)
   └─ m@1 (merge)
T
expect "and below a release what was made from it" test "$(ctl release lineage m@2 --descendants -o name | tr '\n' ' ')" = "m@3 m@4 other@1 "
expect "as a graph" bash -c "'$bin/fleetctl' release lineage m@3 --dot | grep -q '\"m@2\" -> \"m@3\" \[label=\"finetune\"\]'"
if command -v dot >/dev/null; then expect "which Graphviz reads" bash -c "'$bin/fleetctl' release lineage m@3 --dot | dot -Tplain | grep -q '^edge'"; fi
expect "and as JSON" test "$(ctl release lineage m@3 -o json | jq -r '.descendants | map(.model + "@" + .version) | sort | join(" ")')" = "m@4 other@1"
runs_made_from() { ctl release devices "$@" -o name | tr '\n' ' '; }
expect "who runs something made from the data set, by name" test "$(runs_made_from --dataset faces)" = "d2 "
expect "by digest" test "$(runs_made_from --dataset "sha256:$bad")" = "d2 "
expect "who runs something made from release 2" test "$(runs_made_from --descends-from m@2)" = "d2 "
expect "from release 1, itself too" test "$(runs_made_from --descends-from m@1)" = "d1 d2 "
expect_code "a data set that nobody knows is no all-clear" 3 ctl release devices --dataset nothing
expect_code "nor a digest that is none" 2 ctl release devices --dataset sha256:zz
expect_code "nor a release that is not there" 3 ctl release devices --descends-from m@99
expect_code "one question at a time" 2 ctl release devices m@1 --dataset faces

expect_code "a recall asks for a reason" 2 ctl release revoke m@2 --recall --yes
expect "everything made from release 2 is recalled" ctl release revoke m@2 --recall --yes --reason "no consent" -o json >"$work/recalled"
jq -c 'del(.items[].rollouts) | .items[]' < <(grep '^[{ }]' "$work/recalled") >"$work/items" 2>/dev/null
for one in m@2 m@3 m@4 other@1; do expect "$one is revoked" test "$(ctl release get "$one" -o json | jq -r .state)" = revoked; done
expect "release 1 stands" test "$(ctl release get m@1 -o json | jq -r .state)" = approved
expect "the plan says how many run it" grep -q '"devices":1' "$work/items"
expect "the audit log says why" bash -c "'$bin/fleetctl' audit list --action release.revoked -o jsonl | grep -q 'made from m@2, which was recalled: no consent'"
expect_code "none of it is rolled out again" 6 ctl rollout create --release m@3 --all --policy "$work/policy.yaml" --start
expect_code "nor is anything new made from it" 6 ctl release publish --model m --version 5 --variant "cam-a=$work/v4" --parent m@3=finetune
expect "the canary goes to what still stands, by itself" until_true 30 content_is d2 v1
expect "it runs 1" until_true 10 runs d2 1
expect "the other never noticed" content_is d1 v1
expect "nobody runs it any more" test "$(runs_made_from --dataset faces)" = ""
expect "a second recall changes nothing" ctl release revoke m@2 --recall --yes --reason "no consent"
