#!/usr/bin/env bash
# Two models that go together: a set arrives in its order; one whose second member fails comes back whole; a kill between the two switches ends whole.
. "$(dirname "$0")/lib.sh"
init_server; start_server
for model in reader post gate; do ctl model create "$model" >/dev/null; done
new_agent d1; start_agent d1

# member MODEL VERSION HEALTH_EXIT [SECONDS before its activation ends]: a release with a golden test, an activation and a health check of its own.
member() {
  local dir=$work/$1-$2
  make_release "$dir" "$1 $2"
  printf '#!/bin/sh\nsleep %s\n' "${4:-0}" >"$dir/lib/activate.sh"
  printf '#!/bin/sh\nexit %s\n' "$3" >"$dir/lib/health.sh"
  chmod 755 "$dir"/lib/*.sh
  printf '%s\nactivate: {exec: [lib/activate.sh]}\nhealth: [{exec: [lib/health.sh], every: 100ms}]\nprobation: {time: 300ms, max: 20s}\n' "$golden" >"$dir.yaml"
  ctl release publish --model "$1" --version "$2" --variant "cam-a=$dir" --manifest "$dir.yaml" -o name >/dev/null || fail "publishing $1@$2"
}
set_of() { ctl set publish --name gate --version "$1" --member "post@$2:after=reader" --member "reader@$3" -o name >/dev/null || fail "publishing gate@$1"; }
roll_out_set() { ctl rollout create --release "gate@$1" --all --policy "$work/policy.yaml" --start -o name || fail "rolling out gate@$1"; }
runs_both() {  # POST READER
  [ "$(cat "$work/d1/models/post/current/model.bin" 2>/dev/null)" = "post $1" ] && [ "$(cat "$work/d1/models/reader/current/model.bin" 2>/dev/null)" = "reader $2" ]
}
says() { [ "$(ctl device get d1 -o json | jq -r ".running.$1 // \"none\"")" = "$2" ]; }
switches() { grep -o 'event=update.member set=gate model=[a-z]*\|update.member .*model=[a-z]*' "$work/d1.agent.log" | sed 's/.*model=//' | tail -n 2 | tr '\n' ' '; }

member reader 1 0; member post 1 0
expect_code "a member that is not there is refused" 3 ctl set publish --name gate --version 1 --member reader@9
ctl model set reader --alias stable=1 >/dev/null
expect "an alias stands for a member's version" grep -qx reader@1 <(ctl set publish --name gate --version 0 --member reader@stable --dry-run)
expect_code "so is an order in a circle" 2 ctl set publish --name gate --version 1 --member reader@1:after=post --member post@1:after=reader
set_of 1 1 1
[ "$(ctl set get gate@1 -o json | jq -r '[.members[] | "\(.model)@\(.version)"] | join(" ")')" = "post@1 reader@1" ] || fail "set get"
[ "$(ctl set list -o name)" = gate@1 ] || fail "set list: $(ctl set list -o name)"
r1=$(roll_out_set 1)
expect "the set arrives" ctl rollout wait "$r1" --timeout 30s
expect "both members run" runs_both 1 1
expect "reader went first" test "$(switches)" = "reader post "
for model in reader post gate; do expect "the server knows that $model@1 runs" until_true 10 says "$model" 1; done
expect "the set's folder says which one runs" test "$(jq -r .version "$work/d1/models/gate/current/release.json")" = 1

member reader 2 0; member post 2 1
set_of 2 2 2
r2=$(roll_out_set 2)
expect_code "meanwhile nobody moves a member alone" 6 ctl rollout create --release reader@1 --all --policy "$work/policy.yaml" --start
failed() { [ "$(ctl rollout get "$r2" -o json | jq -r .counts.failed)" = 1 ]; }
expect "the second member fails in its probation" until_true 30 failed
expect "both are back" until_true 10 runs_both 1 1
expect "and the device says why" grep -q 'post@2' <(ctl rollout devices "$r2" -o json)
ctl rollout abort "$r2" --yes --reason "it failed" >/dev/null || fail abort

member reader 3 0 2; member post 3 0; member reader 4 0; set_of 3 3 3
r3=$(roll_out_set 3)
expect "the first member is switched, the second is not" until_true 30 runs_both 1 3
kill_agent d1
expect "killed between them" runs_both 1 3
start_agent d1
expect "the set ends whole" ctl rollout wait "$r3" --timeout 40s
expect "at its new release" runs_both 3 3
ctl rollout rollback "$r3" --yes --reason "after all not" >/dev/null || fail rollback
expect "taken back, both are where they were" until_true 20 runs_both 1 1
expect "and the rollout ends" until_true 20 rollout_is "$r3" rolled_back

expect "a release of one member alone breaks the set up" ctl rollout wait "$(ctl rollout create --release reader@4 --all --policy "$work/policy.yaml" --start -o name)" --timeout 30s
expect "the other member stays" runs_both 1 4
expect "and the set runs no more" until_true 10 says gate none
ctl release revoke post@1 --reason "leaks" --yes >/dev/null || fail revoke
expect_code "a set with a revoked member is rolled out no more" 6 ctl rollout create --release gate@1 --all --policy "$work/policy.yaml" --start
