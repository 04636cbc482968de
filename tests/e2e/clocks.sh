#!/usr/bin/env bash
# Clocks that are wrong by years: behind, the floor of trusted time carries the device; ahead, nothing new is adopted and what runs goes on.
# A server whose clock was ahead, by months or years, locks nobody out once it is right again.
. "$(dirname "$0")/lib.sh"
library=$(faketime_library)
[ -n "$library" ] || exit 77
at() { start_agent "$1" env LD_PRELOAD="$library" FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME="$2"; }
init_server; start_server
ctl model create m >/dev/null
make_release "$work/v1" one; publish 1 "$work/v1"
new_agent d1
at d1 -10y
expect "ten years behind, it updates and is heard" ctl rollout wait "$(roll_out 1)" --timeout 40s
expect "its bytes are there" content_is d1 one
kill_agent d1
at d1 +10y
make_release "$work/v2" two; publish 2 "$work/v2"
rollout=$(roll_out 2)
complains() { grep -qE 'expired|certificate' "$work/d1.agent.log"; }
expect "ten years ahead, it says why it does not" until_true 30 complains
expect "what runs goes on" content_is d1 one
kill_agent d1
start_agent d1
expect "with the right time again it goes on" ctl rollout wait "$rollout" --timeout 40s
expect "to the second" content_is d1 two

n=2
for ahead in +200d +1000d; do
  kill_server
  logged=$(wc -l <"$work/server.log")
  LD_PRELOAD=$library FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME=$ahead start_server
  signed() { tail -n "+$((logged + 1))" "$work/server.log" | grep -q metadata.refreshed; }
  expect "a server $ahead signs as if it were right" until_true 10 signed
  kill_server; start_server
  kill_agent d1; start_agent d1
  n=$((n + 1))
  make_release "$work/v$n" "v$n"; publish $n "$work/v$n"
  expect "with the right time again the fleet goes on" ctl rollout wait "$(roll_out $n)" --timeout 40s
  expect "to $n" content_is d1 "v$n"
done
