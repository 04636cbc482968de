#!/usr/bin/env bash
# A device sends its support bundle when it is asked, by the bulk tier: also one that was away, none over a metered link unless told so, no secrets.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
new_agent d1
printf 'proxy: {https: "http://ada:secret@127.0.0.1:1", no_proxy: [localhost, 127.0.0.1]}\n' >>"$work/d1/agent.yaml"
expect_code "nothing was asked for" 3 ctl device collect d1 --last --to "$work/none.tar"
ctl device collect d1 >/dev/null || fail "asking"
expect_code "a device that is away has not answered" 7 ctl device collect d1 --to "$work/d1.tar" --timeout 1s
start_agent d1
expect "it answers when it comes" ctl device collect d1 --to "$work/d1.tar" --timeout 30s
expect "with what the device knows of itself" test "$(tar xOf "$work/d1.tar" status.json | jq -r .id)" = d1
expect "and its configuration" bash -c "tar xOf '$work/d1.tar' agent.json | jq -e '.poll.interval' >/dev/null"
expect_code "without secrets" 1 grep -q secret "$work/d1.tar"
expect_code "a file is not written over" 6 ctl device collect d1 --last --to "$work/d1.tar"
expect "what came is kept" ctl device collect d1 --last --to "$work/again.tar"
expect "as it is" cmp "$work/d1.tar" "$work/again.tar"
ctl token create look --role viewer >"$work/viewer.token"
expect_code "a viewer neither asks" 4 ctl --token-file "$work/viewer.token" device collect d1
expect_code "nor reads" 4 ctl --token-file "$work/viewer.token" device collect d1 --last --to "$work/v.tar"
audited() { ctl audit list -o json | jq -e --arg a "$1" '[.items[] | select(.action == $a)] | length > 0' >/dev/null; }
expect "who asked is in the audit log" audited device.support_asked
expect "and that it came" audited device.support_received

printf 'bandwidth: {metered: yes}\n' >>"$work/d1/agent.yaml"; kill -HUP "${agent_pid[d1]}"
until_true 10 grep -q config.taken "$work/d1.agent.log" || fail "the agent does not take its configuration"
expect_code "over a metered link it waits" 7 ctl device collect d1 --wait --timeout 3s
expect "unless it is told not to" ctl device collect d1 --wait --metered --timeout 30s
