#!/usr/bin/env bash
# Cases of tests/e2e with a board's agent in place of the machine's.
# usage: tests/boards/lives.sh BIN_DIR FOLDER_OF_THE_AGENT as-it-is|emulated|old-root|old-kernel WHERE CASE...
#   emulated: WHERE is qemu's program; old-root: WHERE is the root that old_root.sh made; as-it-is, old-kernel: WHERE is -
set -euo pipefail
bin=$(realpath "$1") board=$(realpath "$2") kind=$3 where=$4
shift 4
cases=$(realpath "$(dirname "$0")/../e2e")
mine=$(mktemp -d)
chmod 755 "$mine"
trap 'rm -rf "$mine"' EXIT
ln -s "$bin"/* "$mine"
rm -f "$mine/fleet-agent" "$mine/fleet-unpack"
program() { printf '#!/bin/bash\n%s\n' "$2" >"$mine/$1"; chmod 755 "$mine/$1"; }
case $kind in
  as-it-is) cp "$board/fleet-agent" "$board/fleet-unpack" "$mine" ;;
  emulated)
    mkdir "$mine/board"
    cp "$board/fleet-agent" "$mine/board"
    cp "$board/fleet-unpack" "$mine/board/fleet-unpack.board"
    program board/fleet-unpack "exec $where $mine/board/fleet-unpack.board \"\$@\""  # the agent starts the one beside it, and this kernel knows no such program
    program fleet-agent "exec $where $mine/board/fleet-agent \"\$@\""
    ;;
  old-root)
    mkdir -p "$where/opt" "$where/proc" "$where/sys" "$where/dev" "$where/tmp"
    cp "$board/fleet-agent" "$board/fleet-unpack" "$where/opt"
    program fleet-agent "exec unshare -m bash -c 'for d in proc sys dev tmp; do mount --rbind /\$d $where/\$d; done; exec chroot $where /opt/fleet-agent \"\$@\"' - \"\$@\""
    ;;
  old-kernel)
    mkdir "$mine/board"
    cp "$board/fleet-agent" "$board/fleet-unpack" "$mine/board"
    program fleet-agent "exec $bin/old-kernel $mine/board/fleet-agent \"\$@\""
    ;;
esac
echo "-- $kind: $("$mine/fleet-agent" --version), $*"
for name in "$@"; do
  echo "-- $name"
  code=0
  bash "$cases/$name.sh" "$mine" >"$mine/log" 2>&1 || code=$?
  case $code in
    0) echo "passed: $(grep -c '^ok: ' "$mine/log") expectations" ;;
    77) echo "left out: this machine lacks something" ;;
    *) cat "$mine/log"; exit 1 ;;
  esac
done
