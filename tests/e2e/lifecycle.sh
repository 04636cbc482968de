#!/usr/bin/env bash
# Install, golden failure, probation failure, rollback by the owner, hold and unhold, removal.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
new_agent d1; start_agent d1
manifest=$work/manifest.yaml
echo "$golden" >"$manifest"

make_release "$work/v1" one
publish 1 "$work/v1" --manifest "$manifest"
r=$(roll_out 1)
expect "1 is installed" until_true 20 runs d1 1
expect "its bytes are there" content_is d1 one
expect "executable bits are kept" test -x "$work/d1/models/m/current/lib/check.sh"
expect "others are not executable" test ! -x "$work/d1/models/m/current/model.bin"
expect "the rollout completes" ctl rollout wait "$r" --timeout 20s
expect_code "there is no version before to go back to" 6 "$bin/fleet-agent" rollback --root "$work/d1"
expect "and it runs on" content_is d1 one

make_release "$work/v2" two 3
publish 2 "$work/v2" --manifest "$manifest"
r=$(roll_out 2)
failed_golden() { ctl rollout devices "$r" -o json | jq -e '.items[0] | .state == "failed" and .error.code == "golden_failed"' >/dev/null; }
expect "a failed golden test is final and told" until_true 20 failed_golden
expect "what runs was not touched" content_is d1 one
ctl rollout abort "$r" --yes --reason test >/dev/null

make_release "$work/v3" three
printf '%s\nhealth: [{exec: [lib/sick.sh], every: 100ms}]\nprobation: {time: 5s, max: 20s}\n' "$golden" >"$work/sick.yaml"
printf '#!/bin/sh\necho no digits today\nexit 1\n' >"$work/v3/lib/sick.sh"; chmod 755 "$work/v3/lib/sick.sh"
publish 3 "$work/v3" --manifest "$work/sick.yaml"
r=$(roll_out 3)
failed_probation() { ctl rollout devices "$r" -o json | jq -e '.items[0].error | .code == "health_failed" and (.output | contains("no digits today"))' >/dev/null; }
expect "a failed probation is told with the program's output" until_true 20 failed_probation
expect "the device went back by itself" until_true 10 content_is d1 one
expect "and the server knows" until_true 10 runs d1 1
ctl rollout abort "$r" --yes --reason test >/dev/null

make_release "$work/v4" four
publish 4 "$work/v4" --manifest "$manifest"
r=$(roll_out 4)
expect "4 is installed" until_true 20 content_is d1 four
expect "its rollout completes" ctl rollout wait "$r" --timeout 20s
expect "the owner rolls back" "$bin/fleet-agent" rollback --root "$work/d1"
expect "the version before runs" until_true 10 content_is d1 one
expect "the refused release is held" until_true 10 bash -c "'$bin/fleet-agent' status --root '$work/d1' -o json | jq -e '.models[0].held' >/dev/null"
expect "the server sees the version before" until_true 10 runs d1 1
expect "an operator lets it be taken again" ctl device unhold d1 --reason test
expect "and it is" until_true 20 content_is d1 four
expect "the owner rolls back again" "$bin/fleet-agent" rollback --root "$work/d1"
expect "the version before runs again" until_true 10 content_is d1 one
expect "and the server sees it" until_true 10 runs d1 1
expect "the owner lets it be taken again" "$bin/fleet-agent" unhold --root "$work/d1" --model m
expect "and it is, at once" until_true 10 content_is d1 four
expect "a rollout of what runs already completes: nothing is at risk" ctl rollout wait "$(roll_out 4)" --timeout 20s
