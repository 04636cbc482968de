#!/usr/bin/env bash
# An agent on a kernel of 2016: a whole life without a system call younger than Linux 4.4, which whatever is new in glibc or in us must do without.
. "$(dirname "$0")/lib.sh"
"$bin/old-kernel" true || exit 77
init_server; start_server
ctl model create m >/dev/null
new_agent d1
echo 'handlers: [files, archive]' >>"$work/d1/agent.yaml"
start_agent d1 "$bin/old-kernel"
echo "$golden" >"$work/manifest.yaml"
make_release "$work/v1" one
publish 1 "$work/v1" --manifest "$work/manifest.yaml"
expect "a release is installed, proven and reported" ctl rollout wait "$(roll_out 1)" --timeout 30s
expect "its bytes are there" content_is d1 one
make_release "$work/tree" two
mkdir "$work/v2"
mv "$work/tree/expect.txt" "$work/v2"
tar -C "$work/tree" -czf "$work/v2/all.tar.gz" .
printf 'handler: archive\n%s\n' "$golden" >"$work/archive.yaml"
publish 2 "$work/v2" --manifest "$work/archive.yaml"
expect "an archive is unpacked by its child" ctl rollout wait "$(roll_out 2)" --timeout 30s
expect "its bytes are there, too" content_is d1 two
kill_agent d1
start_agent d1 "$bin/old-kernel"
# A rollback that comes before the agent is up takes its folder, and the agent ends.
started() { [ "$(grep -c agent.running "$work/d1.agent.log")" -ge "$1" ]; }
until_true 20 started 2 || fail "it does not start again"
back() { "$bin/fleet-agent" rollback --root "$work/d1" >/dev/null 2>&1; }
expect "started again it goes back" until_true 20 back
expect "the server hears of it" until_true 20 runs d1 1
