#!/usr/bin/env bash
# A device runs another signed variant of its release while its own condition says so, and the hardware's own again afterwards: no server is asked.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
new_agent d1
echo 80 >"$work/battery"; touch "$work/told"; chmod 666 "$work/told"
printf 'conditions: {battery: %s/battery}\n' "$work" >>"$work/d1/agent.yaml"
start_agent d1
make_release "$work/big" big; make_release "$work/small" small
for folder in big small; do printf '#!/bin/sh\necho "${FLEET_VARIANT:-own}" >>%s/told\n' "$work" >"$work/$folder/lib/told.sh"; chmod 755 "$work/$folder/lib/told.sh"; done
printf '%s\nactivate: {exec: [lib/told.sh]}\nvariants: {small: {when: {battery_below: 30%%}}}\n' "$golden" >"$work/manifest.yaml"
expect_code "two variants of one hardware need a name" 2 ctl release publish --model m --version 1 --variant "cam-a=$work/big" --variant "cam-a=$work/small" --manifest "$work/manifest.yaml"
publish 1 "$work/big" --variant "cam-a/small=$work/small" --manifest "$work/manifest.yaml"
expect "a release with a variant for a weak battery is installed" ctl rollout wait "$(roll_out 1)" --timeout 30s
expect "as the hardware's own" content_is d1 big
echo 20 >"$work/battery"; kill_server
expect "a weak battery switches to the variant, without a server" until_true 30 content_is d1 small
expect "the app is told" until_true 10 grep -qx small "$work/told"
status() { "$bin/fleet-agent" status --root "$work/d1" -o json; }
expect "the device says what runs" test "$(status | jq -r '.models[0] | .running + " " + .variant')" = "1 small"
start_server
knows() { [ "$(ctl device get d1 -o json | jq -r '.running.m + " " + (.variants.m // "own")')" = "1 $1" ]; }
expect "and the server hears of it" until_true 20 knows small
expect "as does who asks why" bash -c "$(declare -f ctl); bin=$bin ctl device explain d1 | grep -q \"variant 'small'\""
make_release "$work/big2" big2; make_release "$work/small2" small2 3
for folder in big2 small2; do cp "$work/big/lib/told.sh" "$work/$folder/lib/"; done
publish 2 "$work/big2" --variant "cam-a/small=$work/small2" --manifest "$work/manifest.yaml"
r=$(roll_out 2)
refused() { ctl rollout devices "$r" -o json | jq -e '.items[0] | .state == "failed" and (.error.text | startswith("variant '"'small'"'"))' >/dev/null; }
expect "a variant that fails its golden test refuses its release" until_true 20 refused
expect "and the variant runs on" content_is d1 small
