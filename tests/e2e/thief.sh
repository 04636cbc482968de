# What the cases of attacks share: a fleet, and a thief who has a copy of its server's data folder. Sourced after lib.sh.
[ -x "$bin/hostile-server" ] || fail "hostile-server is not built"
turn=2

# Releases 1, 2 (whose floor forbids 1) and 3; b1 is for other hardware; evil waits for an approval that nobody gives.
init_fleet() {
  init_server; start_server
  ctl model create m >/dev/null
  for v in 1 2 3; do make_release "$work/v$v" "v$v"; done
  publish 1 "$work/v1"
  echo 'security_floor: 2' >"$work/floor.yaml"
  publish 2 "$work/v2" --manifest "$work/floor.yaml"
  publish 3 "$work/v3"
  make_release "$work/b1" b1; ctl release publish --model m --version b1 --variant "cam-b=$work/b1" >/dev/null || fail "publishing b1"
  ctl model set m --approvals 1 >/dev/null || fail "asking for approvals"
  make_release "$work/evil" evil; publish evil "$work/evil"
  expect "the evil release is approved by nobody" test "$(ctl release get m@evil -o json | jq -r .state)" = draft
}
# The owners keep these keys elsewhere from now on.
take_offline() { mkdir -p "$work/vault"; for role in "$@"; do mv "$work/server/keys/$role.key" "$work/vault/" || fail "no key of $role"; done; }
# steal FOLDER: all that lies on the server.
steal() { kill_server; cp -a "$work/server" "$work/$1"; start_server; }

yaml_of() {  # yaml_of ID [URL]: the agent's owner points it at the hostile server, or at nobody but the one it enrolled with
  local run_as=
  [ "$(id -u)" -ne 0 ] || run_as="exec: {run_as: nobody}"
  printf 'poll: {interval: 1s, jitter: 0.1}\ntelemetry: {interval: 1s}\n%s\n%s\n' "$run_as" "${2:+servers: [\"$2\"]}" >"$work/$1/agent.yaml"
}
# lie FOLDER NAME RELEASE [OTHER]: a hostile server is up; $liar is its URL.
lie() {
  rm -f "$work/liar.port"
  "$bin/hostile-server" --data "$work/$1" --lie "$2" --release "m@$3" --other "m@${4:-$3}" --port-file "$work/liar.port" 2>>"$work/liar.log" & liar_pid=$!
  others+=("$liar_pid")
  until_true 10 test -s "$work/liar.port" || { cat "$work/liar.log"; fail "the hostile server does not start"; }
  liar="https://localhost:$(cat "$work/liar.port")"
}
end_lie() { kill -9 "$liar_pid" 2>/dev/null; wait "$liar_pid" 2>/dev/null; }
# meet ID [WORD...]: the agent, started anew, finds the hostile server where its own was. $lines is where its log stood.
meet() {
  local id=$1; shift
  [ -z "${agent_pid[$id]:-}" ] || kill_agent "$id"
  touch "$work/$id.agent.log"
  lines=$(wc -l <"$work/$id.agent.log")
  yaml_of "$id" "$liar"
  start_agent "$id" "$@"
}
go_home() { kill_agent "$1"; yaml_of "$1"; start_agent "$1"; }
logged() { tail -n +"$((lines + 1))" "$work/$1.agent.log" | grep -qE "code=($2)( |\$)"; }
tells() { "$bin/fleet-agent" status --root "$work/$1" -o json | jq -e '.last_error != ""' >/dev/null; }
explains() { "$bin/fleet-agent" explain --root "$work/$1" | grep -qE "^  ($2): ."; }
print_of() { (cd "$work/$1/models" 2>/dev/null && { readlink m/current; find m/versions -type f -exec sha256sum {} + | sort; }) | sha256sum; }
# goes_on ID: the honest server is back, and the next rollout arrives; nothing else is done for it.
goes_on() {
  turn=$((5 - turn))
  go_home "$1"
  expect "with the honest server back $1 goes on by itself" ctl rollout wait "$(roll_out "$turn")" --timeout 40s
  expect "to $turn" content_is "$1" "v$turn"
}
# refuses ID WHERE CODE NAME RELEASE [OTHER]: one row of the table. WHERE: poll (status tells it) or update (explain tells it).
refuses() {
  local id=$1 where=$2 code=$3 name=$4 before; shift 3
  before=$(print_of "$id")
  lie stolen "$@"
  meet "$id"
  expect "$name: refused as $code" until_true 40 logged "$id" "$code"
  if [ "$where" = poll ]; then expect "$name: status tells it" until_true 5 tells "$id"; else expect "$name: explain tells it" until_true 5 explains "$id" "$code"; fi
  expect "$name: nothing installed changed" test "$(print_of "$id")" = "$before"
  end_lie
}
