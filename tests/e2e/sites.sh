#!/usr/bin/env bash
# limits.per: of three cameras at one crossing and two at another never two are between switch and commit, also where one dies in between and the server
# is killed; who waits says why. What the cameras did is read from their own logs: nobody takes the server's word for it.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
printf 'health: [{exec: [lib/check.sh], every: 200ms}]\nprobation: {time: 2s, max: 20s}\n' >"$work/manifest.yaml"
for v in 1 2; do
  make_release "$work/v$v" "v$v"
  publish $v "$work/v$v" --manifest "$work/manifest.yaml"
done
ids="a1 a2 a3 b1 b2"
for d in $ids; do new_agent $d; ctl device label $d site=${d%?} >/dev/null || fail "label $d"; start_agent $d; done
printf 'stages: [{percent: 100}]\n' >"$work/policy.yaml"
expect "1 is rolled out to all at once" ctl rollout wait "$(roll_out 1)" --timeout 60s
for d in $ids; do : >"$work/$d.agent.log"; done

printf 'stages: [{percent: 100}]\nlimits: {per: site}\n' >"$work/sites.yaml"
ctl rollout plan --release m@2 --all --policy "$work/sites.yaml" >"$work/plan"
expect "the plan says how many turns that takes" grep -q 'site=a has 3 devices, 1 at one time: 3 turns, at least 6s' "$work/plan"
r=$(roll_out 2 "$work/sites.yaml")
under_way() { local d; for d in a1 a2 a3; do case $(state_of $d) in switching|probation) echo $d; return 0;; esac; done; return 1; }
expect "one of three switches" until_true 20 under_way >/dev/null
victim=$(under_way); [ -n "$victim" ] || fail "nobody is under way"
kill_agent "$victim"
waits() { ctl device explain "$1" --model m -o json | jq -r '.because[].code' | grep -q place_taken; }
others=$(echo a1 a2 a3 | tr ' ' '\n' | grep -v "$victim")
for d in $others; do expect "$d waits, and says so" until_true 10 waits "$d"; done
kill_server; start_server
for d in $others; do expect "a server that was killed forgot nothing: $d waits" until_true 10 waits "$d"; done
b_done() { runs b1 2 && runs b2 2; }
expect "the other crossing goes on" until_true 40 b_done
for d in $others; do expect "$d runs what it ran" content_is $d v1; done
start_agent "$victim"
expect "the dead one comes back, and all follow" ctl rollout wait "$r" --timeout 60s

# Each log's own words, in the order of their times: at no moment two of a crossing.
for d in $ids; do sed -n "s/^\([^ ]*\).* to=\(switching\|committed\|failed\|rolled_back\)\$/\1 ${d%?} $d \2/p" "$work/$d.agent.log"; done | sort >"$work/moves"
expect "the logs tell of five switches" test "$(grep -c ' switching$' "$work/moves")" -ge 5
awk '$4 == "switching" { at[$2 " " $3] = 1 } $4 != "switching" { delete at[$2 " " $3] }
  { n = 0; for (one in at) { split(one, p, " "); n += p[1] == $2 } if (n > 1) { print "two at " $2 ": " $0; bad = 1 } } END { exit bad }' "$work/moves" || fail "two of a crossing were between switch and commit"
echo "ok: never two of a crossing were between switch and commit"
