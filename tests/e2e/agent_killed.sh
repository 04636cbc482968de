#!/usr/bin/env bash
# The agent dies with -9 in each state of its table: it goes on where it was, and `current` always points at a whole version.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
"$bin/bad-network" --to "$device_port" --port-file "$work/slow.port" --bytes-per-s 60000 & others+=($!)
until_true 5 test -s "$work/slow.port" || fail "no relay"
new_agent d1; start_agent d1
head -c 100000 /dev/urandom | base64 >"$work/noise"
printf '%s\nhealth: [{exec: [lib/check.sh], every: 100ms}]\nprobation: {time: 700ms, max: 30s}\n' "$golden" >"$work/manifest.yaml"
make_release "$work/v0" v0
publish 0 "$work/v0" --manifest "$work/manifest.yaml"
expect "0 is rolled out" ctl rollout wait "$(roll_out 0)" --timeout 30s

whole() {  # the link points at a folder with every file of its release
  local link; link=$(readlink "$work/d1/models/m/current") || return 1
  local dir=$work/d1/models/m/$link json=$work/d1/models/m/releases/${link##*/}.json
  jq -r '.variants[0].files[] | "\(.sha256)  \(.name)"' "$json" | (cd "$dir" && sha256sum -c --quiet)
}
in_state() { grep -q "to=$1\$" <(tail -n +"$((lines + 1))" "$work/d1.agent.log"); }
n=0
for state in checking downloading staged testing switching probation committed; do
  n=$((n + 1))
  make_release "$work/v$n" "v$n" 0 'sleep 0.3'
  publish "$n" "$work/v$n" --manifest "$work/manifest.yaml"
  lines=$(wc -l <"$work/d1.agent.log")
  r=$(roll_out "$n")
  expect "update $n reaches $state" until_true 20 in_state "$state"
  kill_agent d1
  expect "killed in $state, current is whole" whole
  start_agent d1
  expect "update $n ends right" until_true 30 content_is d1 "v$n"
  expect "and its rollout completes" ctl rollout wait "$r" --timeout 30s
done
for state in rolling_back; do
  make_release "$work/bad" bad
  printf '#!/bin/sh\nexit 1\n' >"$work/bad/lib/sick.sh"; chmod 755 "$work/bad/lib/sick.sh"
  printf '%s\nhealth: [{exec: [lib/sick.sh], every: 100ms}]\nprobation: {time: 5s, max: 20s}\n' "$golden" >"$work/sick.yaml"
  publish bad "$work/bad" --manifest "$work/sick.yaml"
  lines=$(wc -l <"$work/d1.agent.log")
  roll_out bad >/dev/null
  expect "the bad one reaches $state" until_true 20 in_state "$state"
  kill_agent d1
  start_agent d1
  expect "killed in $state, it is back at the version before" until_true 20 content_is d1 "v$n"
done
