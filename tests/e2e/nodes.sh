#!/usr/bin/env bash
# Three servers on one PostgreSQL, below tests/support/with_postgres, with devices that come to any of them: who leads dies, stops, goes on; what one acknowledged all know.
. "$(dirname "$0")/lib.sh"
. "$here/nodes.lib.sh"

start_fleet 3
expect "three servers know each other" until_true 10 all_live 3
expect "one of them leads" leads_one
expect_code "a folder that has not joined is no server" 6 "$bin/fleet-server" run --data "$work/stranger" --api 127.0.0.1:0 --devices 127.0.0.1:0
expect "by name" grep -q not_a_node "$work/last.err"
cp -r "$work/n2" "$work/copy" && rm -f "$work/copy/lock"
expect_code "nor is a copy of one" 6 "$bin/fleet-server" run --data "$work/copy" --api 127.0.0.1:0 --devices 127.0.0.1:0
expect "by name" grep -q database_in_use "$work/last.err"

for i in 1 2 3 4 5 6 7 8; do new_agent "d$i" "$balanced"; start_agent "d$i"; done
at 1 model create m >/dev/null || fail "model"
make_release "$work/v1" one 0 'sleep 0.3'
echo "$golden" >"$work/manifest.yaml"
on 2 publish 1 "$work/v1" --manifest "$work/manifest.yaml"
printf 'stages: [{percent: 20, bake: 1s}, {percent: 60, bake: 1s}, {percent: 100}]\nstrata: [hardware]\non_harm: pause\non_deadline: pause\n' >"$work/staged.yaml"
r=$(on 3 roll_out 1 "$work/staged.yaml")
expect "a model made at one, published at another, rolls out by a third" at 2 rollout wait "$r" --timeout 90s
for i in 1 2 3 4 5 6 7 8; do expect "d$i has it" until_true 20 content_is "d$i" one; done
spread() { [ "$(sql "$work/server" "SELECT count(DISTINCT node) FROM contacts")" -ge 2 ]; }
expect "devices came to more than one" until_true 15 spread
FLEETCTL_SERVER=https://localhost:${node_api[2]} "$bin/fleetctl" --no-color telemetry events --follow -o name >"$work/followed" 2>/dev/null &
others+=($!)
at 1 device label d1 site=lab >/dev/null || fail "label"
expect "what one wrote the next reads at once" test "$(at 3 device get d1 -o json | jq -r .labels.site)" = lab
at 1 model create other >/dev/null || fail "another model"
newest=$(at 3 telemetry events -o name | tail -n 1)
followed() { [ "$(tail -n 1 "$work/followed")" = "$newest" ]; }
expect "and who follows events there sees it" until_true 10 followed

# The leader is killed while a rollout is under way.
make_release "$work/v2" two 0 'sleep 0.3'
on 1 publish 2 "$work/v2" --manifest "$work/manifest.yaml"
before=$(leader)
other=$(other_than "$before")
r=$(on "$other" roll_out 2 "$work/staged.yaml")
kill_node "$before"
new_leader() { [ "$(leader "$other")" != "$before" ] && [ -n "$(leader "$other")" ]; }
expect "another leads" until_true 20 new_leader
expect "the rollout completes" at "$other" rollout wait "$r" --timeout 90s
for i in 1 2 3 4 5 6 7 8; do expect "d$i has it" until_true 20 content_is "d$i" two; done
start_node "$before"
expect "the one that was killed serves again" until_true 10 all_live 3

# It is stopped past its lease, and goes on.
before=$(leader); other=$(other_than "$before")
make_release "$work/v3" three 0 'sleep 0.3'
on "$other" publish 3 "$work/v3" --manifest "$work/manifest.yaml"
r=$(on "$other" roll_out 3 "$work/staged.yaml")
kill -STOP "${node_pid[$before]}"
expect "another leads, and the first holds nothing up" until_true 20 new_leader
sleep 1
kill -CONT "${node_pid[$before]}"
expect "the rollout completes" at "$other" rollout wait "$r" --timeout 90s
expect "who led once serves" until_true 15 all_live 3
expect "one leads" leads_one
for i in 1 2 3 4 5 6 7 8; do expect "d$i has it" until_true 20 content_is "d$i" three; done
twice=$(sql "$work/server" "SELECT count(*) FROM (SELECT device FROM device_history WHERE state = 'committed' GROUP BY device, rollout, attempt HAVING count(*) > 1) AS twice")
expect "no report counts twice" test "$twice" = 0

# Keys.
at 2 trust rotate timestamp --yes --reason drill >/dev/null || fail "rotation"
at 3 trust rotate directive-root --yes --reason drill >/dev/null || fail "rotation of who signs directives"
make_release "$work/v4" four
on 1 publish 4 "$work/v4"
r=$(on 2 roll_out 4)
expect "keys that one made sign at all" at 3 rollout wait "$r" --timeout 60s
for i in 1 2 3 4 5 6 7 8; do expect "d$i has it" until_true 20 content_is "d$i" four; done

kill_node 3 TERM
expect "a server leaves" "$bin/fleet-server" node leave --data "$work/n3"
expect "and takes no key along" test ! -e "$work/n3/keys" -a ! -e "$work/n3/ca.key"
expect "two are left" until_true 10 all_live 2
kill_node 2 TERM
expect "one that is lost is taken out by another" "$bin/fleet-server" node leave --data "$work/server" --id "$(jq -r .id "$work/n2/node.json")"
kill_node 1 TERM
expect_code "the last one stays" 6 "$bin/fleet-server" node leave --data "$work/server"
expect "by name" grep -q last_node "$work/last.err"
expect "check finds nothing" "$bin/fleet-server" check --data "$work/server"
