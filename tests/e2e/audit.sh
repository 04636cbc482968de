#!/usr/bin/env bash
# The audit log: exported, proved without a server; each kind of tampering is named, also what a thief with the server's key rewrites.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl audit key >"$work/audit.pub"
for i in 1 2 3 4 5; do ctl model create "m$i" >/dev/null || fail "model m$i"; done
ctl audit export >"$work/early.jsonl" || fail "export"
for i in 1 2 3; do ctl model set "m$i" --approvals "$i" --reason "tests, $i of 3" >/dev/null || fail "setting m$i"; done
ctl audit export >"$work/late.jsonl" || fail "export"
expect "the server's log is sound" ctl audit verify --key "$work/audit.pub" -o name
expect "an export is, without a server" env -u FLEETCTL_SERVER -u FLEETCTL_CA -u FLEETCTL_TOKEN_FILE "$bin/fleetctl" audit verify "$work/late.jsonl" --key "$work/audit.pub" --against "$work/early.jsonl"
grep -q '"reason":"tests, 2 of 3"' "$work/late.jsonl" || fail "the reason is not in the log"

expect "a list is narrowed" test "$(ctl audit list --action model.changed --subject model/m2 --since 1h -o json | jq -r '[.items[].reason] | join(",")')" = "tests, 2 of 3"
expect "by who did it, too" test "$(ctl audit list --actor user:nobody -o name | wc -l)" = 0
expect_code "and not by nonsense" 2 "$bin/fleetctl" audit list --since yesterday

# tampered NAME EXIT WORDS: what $work/bad.jsonl is now must be refused, naming WORDS.
tampered() {
  expect_code "$1 is found" "$2" "$bin/fleetctl" audit verify "$work/bad.jsonl" --key "$work/audit.pub" "${@:4}"
  grep -q -- "$3" "$work/last.err" || { cat "$work/last.err"; fail "$1 is not named: $3"; }
}
lines=$(wc -l <"$work/late.jsonl")
sed 's/tests, 2 of 3/tests, 2 of 4/' "$work/late.jsonl" >"$work/bad.jsonl"; tampered "a changed reason" 1 'does not fit its hash'
grep -v '"seq":4,' "$work/late.jsonl" >"$work/bad.jsonl"; tampered "a dropped entry" 1 'entry 4 is missing: 5 follows 3'
sed '/"seq":3,/{h;d};/"seq":4,/{G}' "$work/late.jsonl" >"$work/bad.jsonl"; tampered "two entries swapped" 1 'is missing'
head -n $((lines - 2)) "$work/late.jsonl" >"$work/bad.jsonl"; tampered "an end cut off" 1 'cut off'
tampered "and what was signed outside is missed" 1 'cut off' --against "$work/late.jsonl"
cp "$work/early.jsonl" "$work/bad.jsonl"; tampered "an end cut off at a checkpoint" 1 'cut off' --against "$work/late.jsonl"
sed 's/"sig":"..../"sig":"AAAA/' "$work/late.jsonl" >"$work/bad.jsonl"; tampered "a false signature" 4 'sign'
grep -v envelope "$work/late.jsonl" >"$work/bad.jsonl"; tampered "a log without signatures" 1 'checkpoint'

# Somebody edits the database: the server's own check finds it, and so does a client.
kill_server
expect "check is content" "$bin/fleet-server" check --data "$work/server"
sql "$work/server" "UPDATE audit SET reason = 'nothing to see' WHERE seq = 5"
expect_code "an edited entry is found by check" 1 "$bin/fleet-server" check --data "$work/server"
grep -q 'audit entry 5' "$work/last.out" "$work/last.err" || fail "check does not name entry 5"
start_server
expect_code "and by a client" 1 "$bin/fleetctl" audit verify --key "$work/audit.pub"
# With the server's key the thief can make it all fit again, but not with what was kept outside.
kill_server
sql "$work/server" "DELETE FROM audit_checkpoints; DELETE FROM audit WHERE seq >= 4"
start_server
expect "a log cut short and signed anew looks sound by itself" ctl audit verify --key "$work/audit.pub" -o name
expect_code "not to who kept an export" 1 "$bin/fleetctl" audit verify --key "$work/audit.pub" --against "$work/late.jsonl"
