#!/usr/bin/env bash
# usage: real.sh BIN [POINTS] [FS]: real agents, each on a file system of its own (ext4, or FS, on a loop device), are stopped after some call that changes a file; a picture of the block device is
# what a power cut leaves, and another agent goes on from it. Half of the points are in a first install, half in an update. Every fourth is no cut: the process is killed, the disk lives on.
# Needs root, loop devices and mkfs; exit 77 without.
. "$(dirname "$0")/../e2e/lib.sh"
points=${2:-200} fs=${3:-ext4} at_once=${AT_ONCE:-4}
case $fs in xfs) mib=320 options=loop ;; *) mib=24 options=loop,commit=300 ;; esac  # nothing is written that nobody asked for
[ "$(id -u)" -eq 0 ] && [ -e /dev/loop-control ] && command -v "mkfs.$fs" >/dev/null || { echo "skipped: no root, no loop devices or no mkfs.$fs"; exit 77; }
images=$work/images
mkdir "$images"
# Agents and mounts are of this script's children: what is left over goes with it.
finish() {
  local code=$? pid mount
  for pid in $(cat "$images"/*.pid 2>/dev/null); do kill -9 "$pid" 2>/dev/null; done
  for mount in "$work"/cam-*; do [ ! -d "$mount" ] || umount -l "$mount" 2>/dev/null; done
  (exit $code)
  cleanup
}
trap finish EXIT

mount_image() { mkdir -p "$work/$1"; mount -o "$options" "$images/$1" "$work/$1" || { echo "$1: its image is none" >&2; return 1; }; }
state_in() { tr -d '\0' </proc/"$1"/stat 2>/dev/null | sed 's/.*) //' | cut -c1; }
# run_agent ID [WORD=VALUE...]
run_agent() { env "${@:2}" "$bin/fleet-agent" run --root "$work/$1" >>"$images/$1.agent.log" 2>&1 & echo $! >"$images/$1.pid"; }
end_agent() { local pid; pid=$(cat "$images/$1.pid"); kill "-${2:-TERM}" "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; rm -f "$images/$1.pid"; }
has_committed() { [ "$("$bin/fleet-agent" status --root "$work/$1" -o json 2>/dev/null | jq -r '.models[0] | "\(.state) \(.running)"')" = "committed $2" ]; }
is_over() { [ "$(state_in "$(cat "$images/$1.pid")")" = T ] || has_committed "$1" "$2"; }
# A whole release, or none before the first.
is_whole() {
  local slot=$work/$1/models/m/current
  [ -L "$slot" ] || [ "$2" = 1 ] || { echo "$1: current is gone"; return 1; }
  [ -L "$slot" ] || return 0
  local version
  version=$(cat "$slot/model.bin")
  [[ "$version" =~ ^content\ [12]$ ]] && cmp -s "$slot/model.bin" "$work/v${version: -1}/model.bin" && cmp -s "$slot/lib/check.sh" "$work/v${version: -1}/lib/check.sh" && [ -x "$slot/lib/check.sh" ] && cmp -s "$slot/weights" "$work/v${version: -1}/weights" ||
    { echo "$1: current is not whole: '$version'"; return 1; }
}
# Of one instant: nothing was written meanwhile.
take_picture() { cp --sparse=always "$images/$1" "$images/$1.left" && cmp -s "$images/$1" "$images/$1.left"; }
# live ID VERSION CALL: goes to VERSION; stopped after that call. 0: in peace.
live() {
  local id=$1 version=$2 call=$3 kind=cut
  rm -f "$images/$id.count"
  mount_image "$id" || return 1
  run_agent "$id" LD_PRELOAD="$bin/cut-at.so" CUT_AT="$call" CUT_COUNT="$images/$id.count"
  until_true 90 is_over "$id" "$version" || { echo "$id: neither stopped nor committed $version"; return 1; }
  if [ "$(state_in "$(cat "$images/$id.pid")")" = T ]; then
    [ $((call % 4)) -ne 3 ] || kind=killed
    [ $kind = killed ] || until_true 20 take_picture "$id" || return 1
    end_agent "$id" KILL
    if [ $kind = cut ]; then
      umount "$work/$id" && mv "$images/$id.left" "$images/$id" && mount_image "$id" || return 1
    fi
    is_whole "$id" "$version" || { echo "$id: $kind at call $call"; return 1; }
    run_agent "$id"
    until_true 90 has_committed "$id" "$version" || { echo "$id: $kind at call $call: never committed $version"; return 1; }
    echo "$kind" >>"$images/$id.done"
  fi
  end_agent "$id"
  is_whole "$id" "$version" || return 1
  umount "$work/$id"
}
# all VERSION CALLS: every device, some at once, at calls spread over so many.
all() {
  local version=$1 calls=$2 i
  for ((i = 1; i <= devices_n; ++i)); do
    while [ "$(jobs -rp | wc -l)" -gt "$at_once" ]; do wait -n; done  # one of them is the server
    (trap - EXIT; live "cam-$i" "$version" $((1 + (i - 1) * calls / devices_n)) || touch "$images/cam-$i.bad") &
  done
  while [ "$(jobs -rp | wc -l)" -gt 1 ]; do wait -n; done
  compgen -G "$images/*.bad" >/dev/null && fail "on the way to $version: $(ls "$images" | grep bad | tr '\n' ' ')"
  return 0
}
enrol() { truncate -s "${mib}M" "$images/$1" && "mkfs.$fs" -q "$images/$1" && mount_image "$1" && new_agent "$1" && umount "$work/$1"; }
calls_of() { od -An -t u8 -N 8 "$images/$1.count" | tr -d ' '; }

init_server
start_server
for version in 1 2; do
  make_release "$work/v$version" "content $version"
  head -c 300000 /dev/urandom >"$work/v$version/weights"
  printf '%s\nprobation: {time: 0s}\n' "$golden" >"$work/v$version.manifest"
done
ctl model create m >/dev/null || fail "the model"
devices_n=$(((points + 1) / 2))
for ((i = 0; i <= devices_n; ++i)); do enrol "cam-$i" || fail "cam-$i"; done
for version in 1 2; do
  publish "$version" "$work/v$version" --manifest "$work/v$version.manifest"
  roll_out "$version" >/dev/null
  live cam-0 "$version" 0 || fail "in peace"
  calls=$(calls_of cam-0)
  all "$version" "$calls"
  echo "ok: to version $version, which takes $calls calls, on $fs: $(cat "$images"/*.done | grep -c cut) cuts and $(cat "$images"/*.done | grep -c killed) kills so far"
done
for ((i = 1; i <= devices_n; ++i)); do runs "cam-$i" 2 || fail "the server has not heard that cam-$i runs 2"; done
echo "$(cat "$images"/*.done | wc -l) points, 0 faults; every device told that it runs 2"
