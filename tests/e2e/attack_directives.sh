#!/usr/bin/env bash
# A server with stolen online keys (the owners keep root, targets and model keys elsewhere) tells a device what it should not do.
. "$(dirname "$0")/lib.sh"
. "$here/thief.sh"
init_fleet
new_agent d1; start_agent d1
for v in 1 2; do expect "$v is rolled out" ctl rollout wait "$(roll_out $v)" --timeout 20s; done
take_offline root targets m-m
steal stolen

while read -r where code name release other; do
  refuses d1 "$where" "$code" "$name" "$release" $other
  goes_on d1
done <<'TABLE'
poll   foreign_directive  foreign-device    3
poll   replayed           replay            3
poll   replayed           bundle-online     3
poll   replayed           lower-sequence    3
poll   replayed           equal-sequence    3
poll   sequence_leap      sequence-leap     3
poll   threshold_unmet    foreign-fleet     3
poll   directive_expired  expired-directive 3
poll   metadata_expired   far-future        3
poll   body_too_large     huge-directive    3
update not_signed         none              evil
update below_floor        none              1
update below_floor        revert            1
update ineligible         none              b1
update chains_disagree    other-length      1
update chains_disagree    other-hash        3 1
update not_signed|bad_path other-path       3
TABLE
