#!/usr/bin/env bash
# The network is cut in mid-download, again and again: the download goes on where it was, and nothing wrong is ever installed.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
"$bin/bad-network" --to "$device_port" --port-file "$work/cut.port" --cut-after 150000 --cuts 12 & others+=($!)
until_true 5 test -s "$work/cut.port" || fail "no relay"
make_release "$work/v1" "$(head -c 1000000 /dev/urandom | base64 -w 0)"
publish 1 "$work/v1"
new_agent d1
# The blobs come over the bad network, the rest as well.
[ "$(id -u)" -ne 0 ] || run_as="exec: {run_as: nobody}"
printf 'servers: ["https://localhost:%s"]\npoll: {interval: 1s, jitter: 0.1}\ntelemetry: {interval: 1s}\n%s\n' "$(cat "$work/cut.port")" "${run_as:-}" >"$work/d1/agent.yaml"
printf 'stages: [{percent: 100}]\non_harm: pause\ndevice: {attempts: 50}\n' >"$work/patient.yaml"
start_agent d1
r=$(roll_out 1 "$work/patient.yaml")
cut() { grep -c "source_failed.*have=[1-9]" "$work/d1.agent.log" 2>/dev/null; }
several() { [ "$(cut)" -ge 3 ]; }
expect "cut in mid-download, several times" until_true 60 several
expect "the release arrives whole" until_true 60 content_is d1 "$(cat "$work/v1/model.bin")"
expect "its rollout completes" ctl rollout wait "$r" --timeout 30s
rises() { grep -o "have=[1-9][0-9]*" "$work/d1.agent.log" | cut -d= -f2 | sort -nuc | awk '$1 > 1 {exit 1}'; }
expect "each try went on where the one before ended" rises
