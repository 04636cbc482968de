#!/usr/bin/env bash
# A device proves what it runs already: its health checks are run for the time of its probation, also over a kill -9; nothing is switched, called or
# changed, whatever comes out. The word comes from one who holds the server's keys and asks every device that polls for it.
. "$(dirname "$0")/lib.sh"
. "$here/thief.sh"
init_server; start_server
ctl model create m >/dev/null
touch "$work/called"; chmod 666 "$work/called"  # by whomever programs run as
printf 'health: [{exec: [lib/healthy.sh], every: 200ms}]\nprobation: {time: 3s, max: 20s}\nactivate: {exec: [lib/check.sh]}\n' >"$work/manifest.yaml"
for v in 1 2; do
  make_release "$work/v$v" "v$v" 0 "echo called >>$work/called"
  printf '#!/bin/sh\ntest ! -e %s/sick\n' "$work" >"$work/v$v/lib/healthy.sh"; chmod 755 "$work/v$v/lib/healthy.sh"
  publish $v "$work/v$v" --manifest "$work/manifest.yaml"
done
for d in d1 d2; do new_agent $d; start_agent $d; done
expect "1 is rolled out" ctl rollout wait "$(roll_out 1)" --timeout 40s
steal stolen
calls=$(wc -l <"$work/called")
expect "the switch called activate on both" test "$calls" = 2
in_state() { grep -q "to=$2\$" <(tail -n +"$((lines + 1))" "$work/$1.agent.log"); }
unchanged() { [ "$(print_of "$1")" = "$before" ] && [ "$(wc -l <"$work/called")" = "$calls" ] && content_is "$1" v1; }

lie stolen prove 1
before=$(print_of d1)
meet d1
expect "what runs is being proved" until_true 20 in_state d1 proving
kill_agent d1; start_agent d1
expect "also after a kill in mid-proof it is proved" until_true 20 in_state d1 proved
expect "begun once" test "$(grep -c 'to=proving$' <(tail -n +"$((lines + 1))" "$work/d1.agent.log"))" = 1
is_proved() { [ "$(state_of d1)" = proved ]; }
expect "status tells it" until_true 10 is_proved
expect "it is as it was: nothing switched, nothing called" unchanged d1

touch "$work/sick"
before=$(print_of d2)
meet d2
expect "a sick one fails its proof" until_true 20 in_state d2 failed
expect "with the check's own code" until_true 10 explains d2 health_failed
expect "and is as it was" unchanged d2
end_lie

lie stolen prove 2
meet d2
expect "what does not run is not proved" until_true 20 in_state d2 ineligible
expect "and that is told" until_true 10 explains d2 not_running
expect "nothing changed" unchanged d2
end_lie

rm "$work/sick"
for d in d1 d2; do go_home $d; done
expect "with the honest server back the next release arrives" ctl rollout wait "$(roll_out 2)" --timeout 60s
for d in d1 d2; do expect "on $d" content_is $d v2; done
