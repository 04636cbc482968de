#!/usr/bin/env bash
# The agent's own program by its own rollout: killed with -9 in each state of it, it ends with the new one; one that falls, hangs or stays silent goes back by itself.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create fleet-agent >/dev/null
new_agent d1
printf 'handlers: [files, agent]\n' >>"$work/d1/agent.yaml"
# What a service manager does: starts it again, however it ended. What it starts is the package's program, always.
cat >"$work/keep" <<END
#!/usr/bin/env bash
trap 'kill \$pid; wait \$pid; exit' TERM
until [ -e $work/stop ]; do
  $bin/fleet-agent run --root $work/d1 >>$work/d1.agent.log 2>&1 & pid=\$!
  echo \$pid >$work/d1.pid
  wait \$pid
  sleep 0.1
done
END
trap 'code=$?; touch "$work/stop"; kill -9 "$(cat "$work/d1.pid")" 2>/dev/null; (exit $code); cleanup' EXIT
bash "$work/keep" 2>/dev/null & others+=($!)
# A program of its own digest: the same one with a few bytes more, or with a script before it.
folder_of() { mkdir -p "$work/$1"; cp "$bin/fleet-unpack" "$work/$1/"; }
same_with() { folder_of "$1"; cp "$bin/fleet-agent" "$work/$1/"; printf '%s' "$1" >>"$work/$1/fleet-agent"; }
script_for() { folder_of "$1"; printf '#!/bin/sh\n[ "$1" != run ] || { %s; }\nexec %s/fleet-agent "$@"\n' "$2" "$bin" >"$work/$1/fleet-agent"; chmod 755 "$work/$1/fleet-agent"; }
printf 'handler: agent\nprobation: {time: 300ms, max: 60s}\n' >"$work/manifest.yaml"
publish_agent() { ctl release publish --model fleet-agent --version "$1" --variant "cam-a=$work/$1" --manifest "${2:-$work/manifest.yaml}" -o name >/dev/null || fail "publishing $1"; }
send_out() { ctl rollout create --release "fleet-agent@$1" --all --policy "$work/policy.yaml" --start -o name || fail "rolling out $1"; }
runs_agent() { [ "$(ctl device get d1 -o json | jq -r '.running["fleet-agent"] // "none"')" = "$1" ]; }
slot_of() { readlink "$work/d1/models/fleet-agent/current"; }
# The process is the program of the slot that the link leads to.
is_current() { [ "$(readlink "/proc/$(cat "$work/d1.pid")/exe")" = "$work/d1/models/fleet-agent/$(slot_of)/fleet-agent" ]; }
in_state() { grep -q "model=fleet-agent.* to=$1\$" <(tail -n +"$((lines + 1))" "$work/d1.agent.log"); }

expect_code "its model and its handler go together" 2 ctl release publish --model fleet-agent --version 0 --variant "cam-a=$bin/fleet-agent"
same_with 1; publish_agent 1
expect "the package's program gives way to its first release" ctl rollout wait "$(send_out 1)" --timeout 60s
expect "which is what runs" is_current
expect "and is on trial no more" test ! -e "$work/d1/state/boot"
n=1
for state in checking downloading staged testing switching probation committed; do
  n=$((n + 1)); same_with "$n"; publish_agent "$n"
  lines=$(wc -l <"$work/d1.agent.log")
  r=$(send_out "$n")
  expect "update $n reaches $state" until_true 20 in_state "$state"
  kill -9 "$(cat "$work/d1.pid")"
  expect "killed in $state, its rollout completes" ctl rollout wait "$r" --timeout 60s
  expect "and the new program runs" until_true 10 is_current
done
give_up() { ctl rollout abort "$1" --yes >/dev/null || fail "aborting $1"; }
falls() { [ "$(ctl rollout devices "$1" -o json | jq -r '.items[0].error.code // "none"')" = "$2" ]; }
script_for bad 'exit 1'; publish_agent bad
r=$(send_out bad)
expect "one that ends at each start is told" until_true 60 falls "$r" fell_back
expect "what ran before runs" until_true 20 is_current
expect "and the server knows it" until_true 20 runs_agent "$n"
printf 'handler: agent\nprobation: {time: 300ms, max: 1s}\n' >"$work/short.yaml"
give_up "$r"
# It comes up when the server is gone.
script_for silent "until [ -e $work/gone ]; do sleep 0.1; done"; publish_agent silent "$work/short.yaml"
lines=$(wc -l <"$work/d1.agent.log")
r=$(send_out silent)
expect "another one is on its way" until_true 20 in_state probation
kill_server; touch "$work/gone"
expect "without its server it goes back by itself" until_true 40 in_state rolled_back
expect "to what ran before" until_true 20 is_current
start_server
expect "and tells it later" until_true 40 falls "$r" no_contact
give_up "$r"
script_for hangs 'exec sleep 600'; publish_agent hangs "$work/short.yaml"
# Its watchdog: twice 1 s, and 5 s; three starts.
r=$(send_out hangs)
expect "one that hangs is ended by its watchdog, and is told" until_true 90 falls "$r" fell_back
expect "what ran before runs" until_true 20 is_current
touch "$work/stop"; kill "$(cat "$work/d1.pid")"
