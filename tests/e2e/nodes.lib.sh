# Several servers on one PostgreSQL. usage, after lib.sh: . "$here/nodes.lib.sh"; start_fleet HOW_MANY. Node 1 is $work/server, the others $work/n2, ...
[ -n "${FLEET_TEST_POSTGRES:-}" ] || exit 77
declare -A node_pid=() node_api=() node_devices=()
folder_of() { [ "$1" -eq 1 ] && echo "$work/server" || echo "$work/n$1"; }
# start_node N: at the ports that it had.
start_node() {
  local dir; dir=$(folder_of "$1")
  rm -f "$dir/endpoints.json"
  "$bin/fleet-server" run --data "$dir" --api "127.0.0.1:${node_api[$1]:-0}" --devices "127.0.0.1:${node_devices[$1]:-0}" >>"$work/server.log" 2>&1 &
  node_pid[$1]=$!; others+=($!)
  until_true 20 test -s "$dir/endpoints.json" || fail "server $1 does not start"
  node_api[$1]=$(jq -r .api "$dir/endpoints.json" | sed 's/.*://') node_devices[$1]=$(jq -r .devices "$dir/endpoints.json" | sed 's/.*://')
  list_nodes
}
list_nodes() { local i; for i in "${!node_devices[@]}"; do echo "127.0.0.1:${node_devices[$i]}"; done >"$work/devices.servers.new"; mv "$work/devices.servers.new" "$work/devices.servers"; }
kill_node() { kill "-${2:-KILL}" "${node_pid[$1]}"; wait "${node_pid[$1]}" 2>/dev/null; }
# at N WORDS...: fleetctl at that server. on N FUNCTION...: a function of lib.sh there.
at() { local i=$1; shift; FLEETCTL_SERVER=https://localhost:${node_api[$i]} ctl "$@"; }
on() { local i=$1; shift; FLEETCTL_SERVER=https://localhost:${node_api[$i]} "$@"; }
nodes() { at "$1" node list -o json | jq .items; }
# Of node N's list, where N is left out the first one's that answers.
all_live() { [ "$(nodes "${2:-1}" | jq '[.[] | select(.state == "leads" or .state == "serves")] | length')" -eq "$1" ]; }
leads_one() { [ "$(nodes 1 | jq '[.[] | select(.state == "leads")] | length')" -eq 1 ]; }
number_of() { local i; for i in "${!node_api[@]}"; do [ "$(jq -r .id "$(folder_of "$i")/node.json")" != "$1" ] || echo "$i"; done; }
leader() { number_of "$(nodes "${1:-1}" | jq -r '.[] | select(.state == "leads") | .id')"; }
other_than() { local i; for i in "${!node_api[@]}"; do [ "$i" = "$1" ] || { echo "$i"; return; }; done; }
start_fleet() {
  local i
  "$bin/fleet-server" init --data "$work/server" --host localhost --blobs "$work/blobs" $(on_database) >/dev/null || fail "init"
  export FLEETCTL_CA="$work/server/ca.pem" FLEETCTL_TOKEN_FILE="$work/server/admin.token"
  start_node 1
  export FLEETCTL_SERVER=https://localhost:${node_api[1]}
  echo "a phrase that opens the keys" >"$work/phrase"
  "$bin/fleet-server" node export-keys --data "$work/server" --to "$work/keys" --passphrase-file "$work/phrase" >/dev/null || fail "export of keys"
  local url; url=$(sed -n 's/^database: "\(.*\)"$/\1/p' "$work/server/server.yaml")
  for i in $(seq 2 "$1"); do
    "$bin/fleet-server" node join --data "$work/n$i" --database "$url" --blobs "$work/blobs" --keys "$work/keys" --passphrase-file "$work/phrase" >/dev/null || fail "server $i does not join"
    start_node "$i"
  done
  cp -r "$work/server" "$work/stranger" && rm -f "$work/stranger/lock" "$work/stranger/node.json"
  python3 "$here/../support/balancer.py" "$work/balancer.port" "$work/devices.servers" 4 & others+=($!)
  until_true 10 test -s "$work/balancer.port" || fail "the balancer does not start"
  balanced=https://localhost:$(cat "$work/balancer.port")
}
