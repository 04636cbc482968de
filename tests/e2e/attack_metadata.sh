#!/usr/bin/env bash
# A server with stolen online keys, or a mirror, serves metadata and bytes that are not what the owners signed. Each device is new: it has
# nothing kept that would already bound what comes; one that has is among them.
. "$(dirname "$0")/lib.sh"
. "$here/thief.sh"
init_fleet
new_agent veteran; start_agent veteran
for v in 1 2; do expect "$v is rolled out" ctl rollout wait "$(roll_out $v)" --timeout 20s; done
take_offline root targets m-m
steal stolen

n=0
while read -r code name release other; do
  n=$((n + 1))
  new_agent "n$n"
  refuses "n$n" update "$code" "$name" "$release" $other
  expect "$name: nothing was installed" test ! -e "$work/n$n/models/m/current"
  go_home "n$n"
  expect "with the honest server back n$n goes on by itself" until_true 40 content_is "n$n" v2
  kill_agent "n$n"; ctl device retire "n$n" --yes >/dev/null || fail "retiring n$n"
done <<'TABLE'
threshold_unmet             forged-role        evil
threshold_unmet             forged-root        evil
not_signed                  none               evil
version_mismatch|rollback   mixed-roles        3
metadata_expired            expired-timestamp  3
metadata_expired            expired-snapshot   3
digest_mismatch|length_mismatch swapped-document 3 1
digest_mismatch             swapped-blobs      3 1
body_too_large              endless-timestamp  3
body_too_large              endless-root       3
body_too_large              endless-roles      3
body_too_large              endless-document   3
too_long|network            endless-blobs      3
TABLE

# One that has seen newer ones is not taken back.
refuses veteran update rollback old-timestamp 3
goes_on veteran
refuses veteran poll body_too_large endless-poll 3
goes_on veteran

# Frozen: the server says for days what was true once.
library=$(faketime_library)
[ -n "$library" ] || { echo "no libfaketime here: the frozen server is left out"; exit 0; }
lie stolen none 3
new_agent frozen
before=$(print_of frozen)
meet frozen env LD_PRELOAD="$library" FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME=+2d
expect "frozen: refused as metadata_expired" until_true 30 logged frozen metadata_expired
expect "frozen: explain tells it" until_true 5 explains frozen metadata_expired
expect "frozen: nothing installed changed" test "$(print_of frozen)" = "$before"
end_lie
goes_on frozen
