#!/usr/bin/env bash
# What a thief can do, and how a fleet gets over it: time and versions run far ahead, and, where the model's key lay on the server, a release of his own.
. "$(dirname "$0")/lib.sh"
. "$here/thief.sh"
init_fleet
new_agent d1; start_agent d1
for v in 1 2; do expect "$v is rolled out" ctl rollout wait "$(roll_out $v)" --timeout 20s; done
steal managed
take_offline root targets m-m
steal stolen

# Managed mode: all keys lie on the server, so whoever has it ships what he likes (docs/threat-model.md). Offline, the same thief does not.
new_agent victim
lie managed forged-role evil; meet victim
expect "managed: the thief's release runs, as the threat model says" until_true 20 content_is victim evil
end_lie; kill_agent victim; ctl device revoke victim --yes --reason stolen >/dev/null
new_agent spared
refuses spared update threshold_unmet forged-role evil
kill_agent spared; ctl device retire spared --yes >/dev/null

# A time 300 days ahead is believed while the thief is the server, and mended by the honest server's next directive.
trusted_in() { "$bin/fleet-agent" status --root "$work/d1" -o json | jq -e "(.clock.trusted | fromdate) - now $1 86400" >/dev/null; }
lie stolen year-ahead 2
meet d1
expect "a time far in the future is taken for trusted time" until_true 20 trusted_in "> 200 *"
expect "and what runs goes on" content_is d1 v2
end_lie
goes_on d1
expect "trusted time is right again" trusted_in "<"

# Slowly: bytes within every limit that would take minutes. A deadline ends each exchange, and the device asks its other server.
new_agent slow
lie stolen slow-roles 3
"$bin/bad-network" --to "$(cat "$work/liar.port")" --port-file "$work/slow.port" --bytes-per-s 20000 & others+=($!)
until_true 5 test -s "$work/slow.port" || fail "no relay"
liar="https://localhost:$(cat "$work/slow.port")"
meet slow
began=$(uptime_s)
expect "a slow server does not hold a device: what is approved comes from the other one" until_true 120 content_is slow v3
expect "after the deadline" test $(($(uptime_s) - began)) -ge 25
end_lie; kill_agent slow; ctl device retire slow --yes >/dev/null

# Versions run up: the metadata is refused, and so is what the honest server says next, until the owners rotate the keys that were stolen.
refuses d1 update threshold_unmet run-up evil
go_home d1
lines=$(wc -l <"$work/d1.agent.log")
r=$(roll_out $((5 - turn)))
expect "the honest server's versions are below the thief's" until_true 20 logged d1 rollback
expect "what runs goes on" content_is d1 "v$turn"
ctl rollout abort "$r" --yes --reason stolen >/dev/null
echo "a long passphrase" >"$work/pass"
kill_server
mv "$work/vault/root.key" "$work/server/keys/"
expect "a backup" "$bin/fleet-server" backup --data "$work/server" --to "$work/backup" --passphrase-file "$work/pass"
expect "restored with the root's key: snapshot and timestamp have new ones" "$bin/fleet-server" restore --from "$work/backup" --data "$work/again" --passphrase-file "$work/pass" $(on_database)
mv "$work/server" "$work/lost"; mv "$work/again" "$work/server"
start_server
goes_on d1
