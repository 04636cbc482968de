#!/usr/bin/env bash
# Groups of devices, aliases of versions, and rollouts that start because an alias moved.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
for id in d1 d2; do new_agent $id; start_agent $id; done
manifest=$work/manifest.yaml
echo "$golden" >"$manifest"
echo "stages: [{percent: 100}]" >"$work/policy.yaml"
for v in 1 2 3; do make_release "$work/v$v" "content $v"; publish $v "$work/v$v" --manifest "$manifest"; done

printf 'site,id\nx,d1\nx,to-come\n' >"$work/ids.csv"
"$bin/fleetctl" --no-color group create night --from "$work/ids.csv" >/dev/null 2>"$work/said" || fail "group create"
expect "ids of no device are taken and said" grep -q "2 ids; 1 of no device yet (to-come)" "$work/said"
expect "a selector finds who is in the list" test "$(ctl device list -l group=night -o name)" = d1
expect_code "a group that is not there is said" 2 ctl device list -l group=day
expect_code "a name is given once" 6 ctl group create night -l hardware=cam-a
expect_code "a group is a selector or a list" 2 ctl group create both -l hardware=cam-a --from "$work/ids.csv"

expect_code "a version and an alias never share a name" 6 ctl model set m --alias 2=1
ctl model set m --alias stable=1 >/dev/null || fail "alias"
expect_code "nor the other way about" 6 ctl release publish --model m --version stable --variant "cam-a=$work/v1"
expect "an alias stands where a version does" test "$(ctl release get m@stable -o name)" = m@1
expect "latest is the highest approved counter" test "$(ctl release get m@latest -o name)" = m@3
r=$(ctl rollout create --release m@stable -l group=night --policy "$work/policy.yaml" --start -o name) || fail "a rollout of an alias to a group"
expect "the rollout keeps the version" test "$(ctl rollout get "$r" -o json | jq -r .version)" = 1
expect "it completes on the group" ctl rollout wait "$r" --timeout 20s
expect "who is in it runs the release" until_true 10 runs d1 1
expect "who is not does not" runs d2 none
expect_code "a group that a rollout uses stays" 6 ctl group delete night --yes
printf '{"id":"d1"}\n"d2"\n' | ctl group set night --from - >/dev/null || fail "a list from standard input"
expect "who joins is told at the next poll" until_true 20 runs d2 1

printf 'stages: [{percent: 100}]\nlimits: {at_once: 2}\nfreeze: [{from: christmas}]\n' >"$work/mistaken.yaml"
expect_code "a standing policy with mistakes is refused" 2 ctl model set m --follow stable -l group=night --policy "$work/mistaken.yaml"
expect "all of them are named at their places" test "$(grep -cE '^ +/standing/0/policy/(limits/at_once|freeze/0/from):' "$work/last.err")" = 2
expect_code "a slip in what is kept names nobody in silence" 2 ctl rollout create --release m@1 -l 'running!=m@stabel' --policy "$work/policy.yaml"
expect_code "an alias that is none is not removed" 3 ctl model set m --alias stabel-
expect "a standing policy starts nothing by itself" ctl model set m --follow stable -l group=night --policy "$work/policy.yaml"
expect "nor does the same version again" ctl model set m --alias stable=1
expect "there is one rollout" test "$(ctl rollout list -o name | wc -l)" = 1
r=$(ctl model set m --alias stable=2 --reason "passed" -o json | jq -r '.started[0]')
expect "moving the alias starts the rollout" ctl rollout wait "$r" --timeout 20s
expect "which says what it follows" test "$(ctl rollout get "$r" -o json | jq -r .follows)" = stable
why() { ctl rollout explain "$r" -o json | jq -e '[.history[].reason | contains("alias stable: 1 -> 2: passed")] | any' >/dev/null; }
expect "and why it started" why
expect "both run it" until_true 10 runs d2 2
expect "its devices are found by the alias" test "$(ctl device list --running m@stable -o name | wc -l)" = 2
ctl rollout create --release m@3 -l id=d1 --policy "$work/policy.yaml" --start -o name >"$work/mine" || fail "a person's rollout"
ctl rollout pause "$(cat "$work/mine")" >/dev/null 2>&1
if rollout_is "$(cat "$work/mine")" paused; then
  expect_code "a person's rollout is not pushed aside" 6 ctl model set m --alias stable=3
  expect "and the alias has not moved" test "$(ctl release get m@stable -o name)" = m@2
  ctl rollout abort "$(cat "$work/mine")" --yes --reason test >/dev/null
fi
ctl model set m --unfollow stable >/dev/null || fail "unfollow"
ctl model set m --alias stable=3 >/dev/null || fail "a move without a policy"
expect "nothing follows any more" test "$(ctl rollout list -o name | wc -l)" = 3
