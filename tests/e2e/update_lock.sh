#!/usr/bin/env bash
# When the device's owner lets a release be switched to: while a program holds the lock nothing switches, and a model that waits for consent waits for
# the command, with the agent running and without it, also over its restart.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
new_agent d1
root=$work/d1
cp "$root/agent.yaml" "$work/plain.yaml"
with() { { cat "$work/plain.yaml"; printf '%s\n' "$1"; } >"$root/agent.yaml"; }
printf '%s\n' "$golden" >"$work/manifest.yaml"
for v in 1 2 3 4; do make_release "$work/v$v" "r$v"; publish $v "$work/v$v" --manifest "$work/manifest.yaml"; done
waits() { "$bin/fleet-agent" explain m --root "$root" -o json 2>/dev/null | jq -e --arg why "$1" '.[0].because | any(.code == $why)' >/dev/null; }

with 'update_lock: {file: run/update.lock, max_delay: 1h}'
start_agent d1
expect "the agent makes the lock at once" until_true 10 test -f "$root/run/update.lock"
expect "for everybody to open" until_true 5 test "$(stat -c %a "$root/run/update.lock")" = 644
expect "1 is rolled out" ctl rollout wait "$(roll_out 1)" --timeout 40s
exec 9<"$root/run/update.lock"
flock -s 9
two=$(roll_out 2)
expect "2 waits for the lock" until_true 30 waits update_lock
expect "and 1 runs" content_is d1 r1
exec 9<&-
expect "it is switched to once the lock is free" ctl rollout wait "$two" --timeout 40s
expect "2 runs" content_is d1 r2

with 'update_lock: {consent: [m]}'
kill -HUP "${agent_pid[d1]}"
three=$(roll_out 3)
expect "3 waits for consent" until_true 30 waits consent
expect_code "a model that does not wait for any says so" 3 "$bin/fleet-agent" consent --root "$root" --model other
expect "the owner agrees" "$bin/fleet-agent" consent --root "$root" --model m
expect "3 is rolled out" ctl rollout wait "$three" --timeout 40s
expect "3 runs" content_is d1 r3
expect_code "nothing waits any more" 6 "$bin/fleet-agent" consent --root "$root" --model m

four=$(roll_out 4)
expect "4 waits for consent" until_true 30 waits consent
kill_agent d1
expect "the owner agrees while no agent runs" "$bin/fleet-agent" consent --root "$root" --model m
expect "which starts nothing" content_is d1 r3
start_agent d1
expect "4 is rolled out once it runs" ctl rollout wait "$four" --timeout 40s
expect "4 runs" content_is d1 r4
