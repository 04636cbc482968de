#!/usr/bin/env bash
# The owner's agent.yaml: every mistake is named with its line before and at the start; the commands that a person needs then work without it; SIGHUP takes a
# changed file and passes by a wrong one; numbers that are texts stay as they were written; a relative --root is as good as any.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
new_agent d1
cp "$work/d1/agent.yaml" "$work/good.yaml"
cd "$work" || exit 1
"$bin/fleet-agent" run --root d1/ >>"$work/d1.agent.log" 2>&1 & agent_pid[d1]=$!
for v in 1 2; do
  make_release "$work/v$v" "r$v"
  printf '%s\n' "$golden" >"$work/manifest.yaml"
  publish $v "$work/v$v" --manifest "$work/manifest.yaml"
  expect "$v is rolled out" ctl rollout wait "$(roll_out $v)" --timeout 40s
done

# SIGHUP
reported() { ctl device get d1 -o json | jq -r --arg k "$1" '.reported[$k] // "none"'; }
reports() { [ "$(reported "$1")" = "$2" ]; }
printf 'report: {onnxruntime: 1.10, cuda: 12.20, build: 20250102, on: true}\n' >>"$work/d1/agent.yaml"
kill -HUP "${agent_pid[d1]}"
expect "a changed file is taken" until_true 20 reports cuda 12.20
for fact in onnxruntime:1.10 build:20250102 on:true; do expect "$fact is told as it was written" reports "${fact%:*}" "${fact#*:}"; done
printf 'poll: {interval: 1s}\npolls: 1\n' >"$work/d1/agent.yaml"
kill -HUP "${agent_pid[d1]}"
refused() { grep -q config.refused "$work/d1.agent.log"; }
expect "a wrong one is passed by, and the log says so" until_true 10 refused
expect "the agent lives" kill -0 "${agent_pid[d1]}"
kill_agent d1

# Mistakes
cat >"$work/d1/agent.yaml" <<'YAML'
poll:
  interval: soon
  jitter: 7
exec: {run_as: nobody}
bandwith: {max: 1Mbit/s}
YAML
for command in run check-config; do
  expect_code "$command names what is wrong" 2 "$bin/fleet-agent" $command --root d1
  for place in /poll/interval.*line\ 2 /poll/jitter.*line\ 3 /bandwith.*line\ 5 agent.yaml; do grep -q "$place" "$work/last.err" || { cat "$work/last.err"; fail "$command does not tell $place"; }; done
done
expect_code "status works without it" 0 "$bin/fleet-agent" status --root d1
expect "and says why no agent runs" grep -q "agent.yaml" "$work/last.out"
expect_code "explain works without it" 0 "$bin/fleet-agent" explain --root d1 m
expect_code "rollback works without it, and without a daemon" 0 "$bin/fleet-agent" rollback --root d1 --model m
expect "the version before is there" content_is d1 r1
expect_code "once more there is nothing before" 6 "$bin/fleet-agent" rollback --root d1 --model m

# What the machine lacks
printf 'exec: {run_as: nobody-at-all, programs: {reader: /nowhere/reader}}\n' >"$work/d1/agent.yaml"
expect_code "a user that there is not stops the start" 2 "$bin/fleet-agent" run --root d1
expect "by its name" grep -q nobody-at-all "$work/last.err"
sed -i 's/run_as: nobody-at-all, //' "$work/d1/agent.yaml"
expect_code "a program that is not there is found beforehand" 2 "$bin/fleet-agent" check-config --root d1
expect "with path and the system's words" grep -q "/nowhere/reader: No such file" "$work/last.err"

cp "$work/good.yaml" "$work/d1/agent.yaml"
expect_code "a good file is one" 0 "$bin/fleet-agent" check-config --root d1
start_agent d1
held() { ctl device get d1 -o json | jq -e '.update.error.code == "rolled_back_by_owner" or (.running.m == "1")' >/dev/null; }
expect "the server hears of the way back" until_true 20 held
expect "and what the owner holds is not taken again" content_is d1 r1
