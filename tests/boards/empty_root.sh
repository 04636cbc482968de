#!/usr/bin/env bash
# A wholly static agent in a root that holds nothing else: no libc, no shell, no /etc. usage: tests/boards/empty_root.sh BIN_DIR FOLDER_OF_THE_AGENT   (root)
. "$(dirname "$0")/../e2e/lib.sh"
board=$(cd "$2" && pwd)
init_server; start_server
ctl model create m >/dev/null
root=$work/root
mkdir -p "$root/data"
cp "$board/fleet-agent" "$FLEETCTL_CA" "$root"
ctl device token create --id d1 --hardware cam-a >"$root/token"
printf 'poll: {interval: 1s}\n' >"$root/data/agent.yaml"
chown -R 65534:65534 "$root/data" "$root/token"
agent() { chroot --userspec=65534:65534 "$root" /fleet-agent "$@"; }
expect "it enrols" agent enroll --root /data --server "${devices/127.0.0.1/localhost}" --ca /ca.pem --token-file /token --id d1 --hardware cam-a
chroot --userspec=65534:65534 "$root" /fleet-agent run --root /data >"$work/d1.agent.log" 2>&1 & agent_pid[d1]=$!
mkdir "$work/v1" && echo one >"$work/v1/model.bin"
publish 1 "$work/v1"
expect "a release is installed and reported" ctl rollout wait "$(roll_out 1)" --timeout 30s
expect "its bytes are there" grep -q one "$root/data/models/m/current/model.bin"
expect "there is still nothing else" test "$(ls "$root" | tr '\n' ' ')" = "ca.pem data fleet-agent token "
expect "status speaks" agent status --root /data
