#!/usr/bin/env bash
# The server dies with -9 again and again during a rollout: no acknowledged write is lost, and the rollout ends right.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
for i in 1 2 3 4 5 6; do new_agent "d$i"; start_agent "d$i"; done
make_release "$work/v1" one 0 'sleep 0.3'
echo "$golden" >"$work/manifest.yaml"
publish 1 "$work/v1" --manifest "$work/manifest.yaml"
printf 'stages: [{percent: 20, bake: 1s}, {percent: 60, bake: 1s}, {percent: 100}]\nstrata: [hardware]\non_harm: pause\non_deadline: pause\n' >"$work/staged.yaml"
r=$(roll_out 1 "$work/staged.yaml")
: >"$work/acknowledged"
n=0
for round in 1 2 3 4 5 6 7 8; do
  for k in 1 2 3; do
    n=$((n + 1))
    ctl device label d1 "n$n=yes" >/dev/null 2>&1 && echo "n$n" >>"$work/acknowledged"
  done
  # Written while it dies.
  (ctl device label d2 "r$round=yes" >/dev/null 2>&1 && echo "r$round" >>"$work/acknowledged.d2") & writer=$!
  kill_server
  wait "$writer"
  start_server
done
expect "the rollout completes" ctl rollout wait "$r" --timeout 90s
for i in 1 2 3 4 5 6; do expect "d$i runs it" until_true 30 runs "d$i" 1; done
labels=$(ctl device get d1 -o json | jq -r '.labels | keys[]')
for name in $(cat "$work/acknowledged"); do grep -qx "$name" <<<"$labels" || fail "acknowledged label $name is lost"; done
expect "all $(wc -l <"$work/acknowledged") acknowledged labels of d1 are there" test "$(wc -l <"$work/acknowledged")" -ge 20
labels=$(ctl device get d2 -o json | jq -r '.labels | keys[]')
for name in $(cat "$work/acknowledged.d2" 2>/dev/null); do grep -qx "$name" <<<"$labels" || fail "acknowledged label $name is lost"; done
kill_server
expect "check finds nothing" "$bin/fleet-server" check --data "$work/server"
