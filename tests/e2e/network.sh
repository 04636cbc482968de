#!/usr/bin/env bash
# The network is cut in mid-download, again and again: the download goes on where it was, and nothing but the whole is installed.
. "$(dirname "$0")/lib.sh"
. "$here/thief.sh"
init_server; start_server
ctl model create m >/dev/null
make_release "$work/v1" ""
head -c 1300000 /dev/urandom >"$work/v1/model.bin"  # nothing to compress: the file itself travels
arrived() { cmp -s "$work/v1/model.bin" "$work/d1/models/m/current/model.bin"; }
publish 1 "$work/v1"
new_agent d1
# A copy of the server that names no sources: all bytes come over the relay, which cuts its first connections, whatever they are for.
steal copy
lie copy none 1
"$bin/bad-network" --to "$(cat "$work/liar.port")" --port-file "$work/cut.port" --cut-after 300000 --cuts 20 & others+=($!)
until_true 5 test -s "$work/cut.port" || fail "no relay"
liar="https://localhost:$(cat "$work/cut.port")"
meet d1
cuts() { [ "$(grep -c "source_failed.*have=[1-9].*reset" "$work/d1.agent.log")" -ge "$1" ]; }
expect "cut in mid-download" until_true 60 cuts 1
expect "the release arrives whole" until_true 60 arrived
expect "it was cut again meanwhile" cuts 2
end_lie
go_home d1
expect "and the server hears of it" until_true 30 runs d1 1
