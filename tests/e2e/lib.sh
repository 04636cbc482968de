# What every case starts with. usage in a case: . "$(dirname "$0")/lib.sh"; the first argument is the folder of the programs.
set -u
bin=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/fleet-e2e.XXXXXX")
chmod 755 "$work"
api_port=0 device_port=0
declare -A agent_pid=()
server_pid=
others=()
server_options=()  # more words for `fleet-server run`
mounts=()

# What tells a device that was not told from one that did not come, while the server still lives.
show_server() {
  echo "--- the server"
  curl -s --max-time 3 --cacert "$FLEETCTL_CA" -H "Authorization: Bearer $(cat "$FLEETCTL_TOKEN_FILE")" "$FLEETCTL_SERVER/metrics" | grep -E '^fleet_(net|store|parked|devices|rollouts)'
  timeout 5 "$bin/fleetctl" --no-color -q rollout list -o wide
  timeout 5 "$bin/fleetctl" --no-color -q device list -o wide
}
cleanup() {
  local code=$?
  trap - EXIT
  [ $code -eq 0 ] || [ $code -eq 77 ] || [ -z "$server_pid" ] || show_server 2>/dev/null
  [ -z "$server_pid" ] || kill -9 "$server_pid" 2>/dev/null
  for pid in "${agent_pid[@]}" "${others[@]}"; do kill -9 "$pid" 2>/dev/null; done
  wait 2>/dev/null
  [ $code -eq 0 ] || [ $code -eq 77 ] || { echo "--- server.log"; tail -n 15 "$work/server.log"; for log in "$work"/*.agent.log; do echo "--- $log"; tail -n "${LOG_LINES:-10}" "$log"; done; } 2>/dev/null
  for mount in "${mounts[@]}"; do umount -l "$mount"; done
  rm -rf "$work"
  exit $code
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() { echo "FAILED: $*" >&2; exit 1; }
expect() { local what=$1; shift; "$@" || fail "$what"; echo "ok: $what"; }
expect_code() { local what=$1 code=$2 got=0; shift 2; "$@" >"$work/last.out" 2>"$work/last.err" || got=$?; [ "$got" -eq "$code" ] || { cat "$work/last.out" "$work/last.err"; fail "$what: exit $got, expected $code"; }; echo "ok: $what"; }
# Whole seconds that this machine has run: bash's own count jumps where somebody sets the clock, as machines that were paused do.
uptime_s() { local up rest; read -r up rest </proc/uptime; echo "${up%.*}"; }
until_true() { local end=$(($(uptime_s) + $1)); shift; until "$@"; do [ "$(uptime_s)" -lt "$end" ] || return 1; sleep 0.1; done; }
# libfaketime itself (its wrapper would stand between us and a program's pid); nothing where programs are instrumented: it and a sanitizer exclude each other.
faketime_library() { ldd "$bin/fleet-agent" | grep -qE 'lib[at]san' || ls /usr/lib/*/faketime/libfaketime.so.1 2>/dev/null | head -n 1; }
ctl() { "$bin/fleetctl" --no-color -q "$@"; }

# Words for `fleet-server init` and `restore`: below tests/support/with_postgres, a database of its own there.
on_database() {
  [ -n "${FLEET_TEST_POSTGRES:-}" ] || return 0
  local name=e$$_$RANDOM$RANDOM
  psql "$FLEET_TEST_POSTGRES" -qc "CREATE DATABASE $name TEMPLATE template0" >&2 && echo "--database ${FLEET_TEST_POSTGRES/postgres\?/$name?}"
}
# Words for `fleet-server init`: below tests/support/with_s3, a place of its own in that bucket.
on_blobs() { [ -z "${FLEET_TEST_BLOBS:-}" ] || echo "--blobs ${FLEET_TEST_BLOBS/PREFIX/e$$_$RANDOM}"; }
# sql FOLDER TEXT: of its database, past the server; what it gives, a column a |.
sql() {
  if grep -qs '^database:' "$1/server.yaml"; then psql "$(sed -n 's/^database: "\(.*\)"$/\1/p' "$1/server.yaml")" -qAtc "$2"; else sqlite3 "$1/fleet.db" "$2"; fi
}
init_server() {
  "$bin/fleet-server" init --data "$work/server" --host localhost $(on_database) $(on_blobs) >/dev/null || fail "init"
  export FLEETCTL_CA="$work/server/ca.pem" FLEETCTL_TOKEN_FILE="$work/server/admin.token"
}
# Takes the ports it had before, so that agents find it again.
start_server() {
  rm -f "${1:-$work/server}/endpoints.json"
  "$bin/fleet-server" run --data "${1:-$work/server}" --api "127.0.0.1:$api_port" --devices "127.0.0.1:$device_port" "${server_options[@]}" >>"$work/server.log" 2>&1 &
  server_pid=$!
  until_true 20 test -s "${1:-$work/server}/endpoints.json" || fail "the server does not start"
  export FLEETCTL_SERVER=$(jq -r .api "${1:-$work/server}/endpoints.json")
  devices=$(jq -r .devices "${1:-$work/server}/endpoints.json")
  api_port=${FLEETCTL_SERVER##*:} device_port=${devices##*:}
  until_true 20 ctl auth status >/dev/null 2>&1 || fail "the server does not answer"
}
kill_server() { kill -9 "$server_pid"; wait "$server_pid" 2>/dev/null; server_pid=; }

# new_agent ID [URL [WORDS...]]: enrols, with more words for `fleet-agent enroll`; hardware is cam-a.
new_agent() {
  local id=$1 root=$work/$1 run_as=
  mkdir -p "$root"
  [ "$(id -u)" -ne 0 ] || run_as="exec: {run_as: nobody}"
  printf 'poll: {interval: 1s, jitter: 0.1}\ntelemetry: {interval: 1s}\n%s\n' "$run_as" >"$root/agent.yaml"
  ctl device token create --id "$id" --hardware cam-a >"$root.token" || fail "token for $id"
  "$bin/fleet-agent" enroll --root "$root" --server "${2:-$devices}" --ca "$FLEETCTL_CA" --token-file "$root.token" --id "$id" --hardware cam-a "${@:3}" >/dev/null || fail "$id does not enrol"
}
start_agent() { "${@:2}" "$bin/fleet-agent" run --root "$work/$1" >>"$work/$1.agent.log" 2>&1 & agent_pid[$1]=$!; }
kill_agent() { kill -9 "${agent_pid[$1]}" 2>/dev/null; wait "${agent_pid[$1]}" 2>/dev/null; unset "agent_pid[$1]"; }

# make_release FOLDER CONTENT [GOLDEN_EXIT]: a release with a golden command of its own.
make_release() {
  mkdir -p "$1/lib"
  printf '%s\n' "$2" >"$1/model.bin"
  printf 'ok\n' >"$1/expect.txt"
  printf '#!/bin/sh\necho ok > "$FLEET_OUTPUT"\n%s\nexit %s\n' "${4:-}" "${3:-0}" >"$1/lib/check.sh"
  chmod 755 "$1/lib/check.sh"
}
golden='golden: {command: [lib/check.sh], expect: expect.txt, timeout: 10s}'
publish() { local version=$1 folder=$2; shift 2; ctl release publish --model m --version "$version" --variant "cam-a=$folder" "$@" -o name >/dev/null || fail "publishing $version"; }
roll_out() { ctl rollout create --release "m@$1" --all --policy "${2:-$work/policy.yaml}" --start -o name || fail "rolling out $1"; }
state_of() { "$bin/fleet-agent" status --root "$work/$1" -o json 2>/dev/null | jq -r '.models[0].state // "none"'; }
running() { ctl device get "$1" -o json | jq -r '.running.m // "none"'; }
runs() { [ "$(running "$1")" = "$2" ]; }
rollout_is() { [ "$(ctl rollout get "$1" -o json | jq -r .state)" = "$2" ]; }
content_is() { [ "$(cat "$work/$1/models/m/current/model.bin" 2>/dev/null)" = "$2" ]; }
printf 'stages: [{percent: 100}]\non_harm: pause\n' >"$work/policy.yaml"
