#!/usr/bin/env bash
# What a fleet's bytes come to: figures beside the real sizes of files, a rollout's bytes beside what the server sent, and releases that would go beside those that something needs.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null; ctl model create other >/dev/null
# No file repeats within a release, and none is large enough for a recipe but the model.
release() { mkdir -p "$work/v$1"; head -c $((100000 * $1)) /dev/urandom >"$work/v$1/model.bin"; echo shared >"$work/v$1/labels.txt"; publish "$1" "$work/v$1"; }
size() { stat -c %s "$work/v$1/model.bin"; }
cost() { ctl cost "$@" -o json; }
figure() { local want=$1 path=$2; shift 2; local got; got=$(cost "$@" | jq -r "$path"); [ "$got" = "$want" ] || { echo "$path: $got, expected $want"; return 1; }; }
near() { local got; got=$(cost "${@:3}" | jq -r "$2"); jq -en --argjson a "$got" --argjson b "$1" '($a - $b) | fabs < 1e-9' >/dev/null || { echo "$2: $got, expected $1"; return 1; }; }
m='.models[] | select(.model == "m")'
for v in 1 2 3 4; do release $v; done
files=$(($(size 1) + $(size 2) + $(size 3) + $(size 4) + 7))
expect "what is stored is what the files have, the shared one once" figure "$files" "$m | .bytes"
expect "and so is the store, on the disk too" test "$(find "$work/server/blobs" -type f -printf '%s\n' | awk '{s += $1} END {print s}')" = "$(cost | jq .store.bytes)"
expect "without prices there is no money" figure null .money
expect_code "and a person is told how to set some" 0 "$bin/fleetctl" --no-color cost
expect "by name" grep -q "fleetctl cost prices --egress" "$work/last.err"

ctl cost prices --egress 90 --storage 20 --currency EUR --reason "the new contract" >/dev/null || fail "setting prices"
expect "prices are kept" test "$(ctl cost prices -o json | jq -c '[.egress, .storage, .requests, .currency]')" = '[90,20,null,"EUR"]'
expect "and in the log, with why" test "$(ctl audit list --action prices.changed -o json | jq -r '.items[-1].reason')" = "the new contract"
ctl token create eye --role viewer >"$work/eye.token"
expect_code "a viewer sets none" 4 "$bin/fleetctl" --token-file "$work/eye.token" cost prices --egress 1
expect_code "nobody sets one that is none" 2 "$bin/fleetctl" cost prices --egress=-1
expect_code "a wrong currency is refused" 2 "$bin/fleetctl" cost prices --currency euro
expect "money is the bytes by the price" near "$(jq -n "$files * 20 / 1e9")" "$m | .money.storage"

new_agent d1; new_agent d2; start_agent d1; start_agent d2
online() { [ "$(cost | jq .requests.devices)" = 2 ]; }
expect "devices are heard" until_true 20 online
expect "and what they ask in a day is estimated" jq -e '.requests.polls_a_day > 1000 and .requests.reports_a_day == 172800' <(cost)
plan() { ctl rollout plan --release m@1 --all --policy "$work/policy.yaml" "$@"; }
out=$(( 2 * ($(size 1) + 7) ))
expect "a plan says what its bytes come to" test "$(plan -o json | jq ".delivery.bytes == $out and ((.delivery.money.egress - $out * 90 / 1e9) | fabs < 1e-9)")" = true
expect "in words" grep -q "  egress: 0.02 EUR" <<<"$(plan)"
r1=$(roll_out 1)
ctl rollout wait "$r1" --timeout 60s >/dev/null || fail "rollout 1"
expect "a rollout's bytes are those of its devices" figure "$out" '.rollouts[0].out_bytes' --rollout "$r1"
expect "which the server has sent" figure "$out" .sent_bytes
expect "by hardware" figure '2 cam-a null' '.rollouts[0].devices[0] | "\(.devices) \(.hardware) \(.from)"' --rollout "$r1"
expect "and money" near "$(jq -n "$out * 90 / 1e9")" .money.egress --rollout "$r1"
r2=$(ctl rollout create --release m@2 -l id=d1 --policy "$work/policy.yaml" --start -o name)
ctl rollout wait "$r2" --timeout 60s >/dev/null || fail "rollout 2"
expect "what a device has already is not sent again" figure "$(size 2)" '.rollouts[0].out_bytes' --rollout "$r2"
expect "a month is the sum" figure $((out + $(size 2))) "$m | .out_bytes"
expect "and so is what was sent" figure $((out + $(size 2))) .sent_bytes

# 4 is the newest; 1 runs on d2, 2 on d1: 3 alone would go.
gone() { cost --keep-releases 1 | jq -c "$m | .keep.gone_versions"; }
expect "what nothing needs would go" test "$(gone)" = '["3"]'
expect "with its bytes, and not the file that others have" figure "$(size 3)" "$m | .keep.gone_bytes" --keep-releases 1
expect "what would be left is the rest" figure $((files - $(size 3))) "$m | .keep.bytes" --keep-releases 1
expect "that saves money" near "$(jq -n "$(size 3) * 20 / 1e9")" .keep.saves.storage --keep-releases 1
ctl model set m --alias field=3 >/dev/null
expect "what an alias names stays" test "$(gone)" = '[]'
ctl model set m --alias field- >/dev/null
expect "as people read it" grep -qE "^m +3 +1 .* 3$" <<<"$(ctl cost --keep-releases 1)"
ctl rollout create --release m@3 --all --policy "$work/policy.yaml" -o name >/dev/null || fail "a draft"
expect "and what a rollout is about to bring" test "$(gone)" = '[]'
expect "nothing was deleted" figure "$files" "$m | .bytes"
kill_server; start_server
expect "prices outlive the server" test "$(ctl cost prices -o json | jq .egress)" = 90
