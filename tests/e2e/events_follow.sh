#!/usr/bin/env bash
# Who follows events misses none and sees none twice, over deaths of the server and broken connections; by fleetctl, and by Last-Event-ID.
. "$(dirname "$0")/lib.sh"
init_server; start_server
"$bin/fleetctl" --no-color telemetry events --follow -o name >"$work/followed" 2>"$work/follow.err" &
others+=($!)
# As a browser does it: again and again, from the last id that it saw.
stream() {
  local last=0
  while :; do
    curl -sN --max-time 3 --cacert "$FLEETCTL_CA" -H "Authorization: Bearer $(cat "$FLEETCTL_TOKEN_FILE")" -H "Last-Event-ID: $last" "$FLEETCTL_SERVER/api/v1/events" |
      sed -un 's/^id: //p' >>"$work/streamed"
    last=$(tail -n 1 "$work/streamed"); last=${last:-0}
    sleep 0.2
  done
}
touch "$work/streamed"
stream 2>/dev/null &
others+=($!)
make_events() { ctl model create "$1" >/dev/null || fail "model $1"; ctl device token create --id "$1" >/dev/null || fail "token"; }
newest() { ctl telemetry events -o name | tail -n 1; }
seen() { [ "$(tail -n 1 "$work/$1")" = "$2" ]; }
for i in 1 2 3; do
  make_events "before-$i"
  kill_server
  start_server
  make_events "after-$i"
  for how in followed streamed; do expect "the last event is $how ($i)" until_true 30 seen $how "$(newest)"; done
done
ctl telemetry events -o name >"$work/all"
expect "there are some" test "$(wc -l <"$work/all")" -ge 6
for how in followed streamed; do expect "each is $how once, in order" cmp "$work/all" "$work/$how"; done
