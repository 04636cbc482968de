#!/usr/bin/env bash
# Each model goes its own way: while one is in a long golden test, another is ordered back; a withdrawn release's golden test and an owner's order end
# what goes on there; a hook that hangs holds up nobody. And what took the device down three times in its activation goes back by itself.
. "$(dirname "$0")/lib.sh"
init_server; start_server
for m in m n; do ctl model create $m >/dev/null; done
new_agent d1
printf '#!/bin/sh\n[ ! -e %s/hang ] || sleep 60\n' "$work" >"$work/hook"; chmod 755 "$work/hook"
sed -i '/^exec:/d' "$work/d1/agent.yaml"
{ [ "$(id -u)" -ne 0 ] || echo "exec: {run_as: nobody, programs: {hook: $work/hook}}"; [ "$(id -u)" -eq 0 ] || echo "exec: {programs: {hook: $work/hook}}"; echo 'hooks: {switched: [hook]}'; } >>"$work/d1/agent.yaml"
start_agent d1
of() { "$bin/fleet-agent" status --root "$work/d1" -o json 2>/dev/null | jq -r --arg m "$1" --arg k "$2" '[.models[]? | select(.model == $m)][0][$k] // "none"'; }
is() { [ "$(of "$1" state)" = "$2" ]; }
runs_here() { [ "$(of "$1" running)" = "$2" ] && is "$1" committed; }
put() { ctl release publish --model "$1" --version "$2" --variant "cam-a=$3" "${@:4}" -o name >/dev/null || fail "publishing $1@$2"; }
start() { ctl rollout create --release "$1" --all --policy "$work/policy.yaml" --start "${@:2}" -o name || fail "rolling out $1"; }
tests() { [ -n "$(pgrep -f "$work/.*[c]heck.sh")" ]; }
no_tests() { ! tests; }

for v in 1 2; do make_release "$work/m$v" "m$v"; put m $v "$work/m$v"; done
m1=$(start m@1); expect "m@1 runs" until_true 30 runs_here m 1
m2=$(start m@2 --supersede "$m1"); expect "m@2 runs" until_true 30 runs_here m 2

printf 'golden: {command: [lib/check.sh], expect: expect.txt, timeout: 5m}\n' >"$work/slow.yaml"
make_release "$work/n1" n1 0 'sleep 120'; put n 1 "$work/n1" --manifest "$work/slow.yaml"
n1=$(start n@1); expect "n@1 is in its golden test" until_true 30 is n testing
ctl rollout rollback "$m2" --yes --reason dangerous >/dev/null || fail "rollback of m"
expect "m is back while n tests" until_true 20 content_is d1 m1
expect "and n tests on" is n testing
ctl rollout abort "$n1" --yes --reason wrong >/dev/null || fail "abort of n"
expect "a withdrawn release's golden test ends" until_true 20 is n idle
expect "and its program with it" until_true 5 no_tests

touch "$work/hang"
make_release "$work/m3" m3; put m 3 "$work/m3"; start m@3 >/dev/null
expect "m@3 hangs in its owner's hook" until_true 30 is m switching
make_release "$work/n2" n2; put n 2 "$work/n2"; rm "$work/hang"; start n@2 >/dev/null
expect "n@2 arrives meanwhile" until_true 30 runs_here n 2
expect "the owner goes back from m@3" "$bin/fleet-agent" rollback --root "$work/d1" --model m
expect "at once" until_true 10 content_is d1 m1

touch "$work/acts"; chmod 666 "$work/acts"
make_release "$work/m4" m4; printf '#!/bin/sh\necho begun >>%s/acts\nsleep 9\n' "$work" >"$work/m4/lib/act.sh"; chmod 755 "$work/m4/lib/act.sh"
printf 'activate: {exec: [lib/act.sh]}\n' >"$work/act.yaml"; put m 4 "$work/m4" --manifest "$work/act.yaml"
start m@4 --supersede "$(ctl rollout list --model m -o json | jq -r '[.items[] | select(.version == "3")][0].id')" >/dev/null
begun() { [ "$(wc -l <"$work/acts")" -ge "$1" ]; }
for i in 1 2 3; do expect "start $i of its activation" until_true 30 begun $i; [ $i != 1 ] || kill_server; kill_agent d1; start_agent d1; done
expect "what took the device down three times goes back" until_true 15 is m rolled_back
expect "and the version before runs" content_is d1 m1
