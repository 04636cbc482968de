#!/usr/bin/env bash
# The installers of examples/installers with the tools that they are for, Debian's rauc, swupdate and runc: real bundles, images and containers, installed, tried, kept, and taken back.
# Slots are files and a restart is the test's; RAUC mounts its bundles, runc runs containers: where this machine lets root do neither, their part is left out.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] || { echo "mounting bundles and running containers takes root"; exit 77; }
for tool in rauc swupdate runc mksquashfs cpio; do command -v $tool >/dev/null || { echo "no $tool here"; exit 77; }; done
installers=$(cd "$here/../../examples/installers" && pwd)
cp -r "$installers" "$work/installers"  # where the agent's user may go
init_server; start_server
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/key.pem" -out "$work/cert.pem" -days 30 -subj /CN=test -addext extendedKeyUsage=emailProtection,codeSigning 2>/dev/null

printf 'stages: [{percent: 100}]\non_harm: pause\ndevice: {attempts: 1}\n' >"$work/policy.yaml"
printf '#!/bin/sh\n[ "$(cat %s/beat/x)" = "$FLEET_VERSION" ] && [ $(($(date +%%s) - $(stat -c %%Y %s/beat/x))) -le 2 ]\n' "$work" "$work" >"$work/alive"; chmod 755 "$work/alive"

# new_box ID PROGRAM ENVIRONMENT: a device that PROGRAM installs on, as root. Its slots and what a boot loader keeps lie in $work/ID.box.
new_box() {
  local id=$1 box=$work/$1.box
  mkdir -p "$box"; new_agent "$id"
  truncate -s 64K "$box/A.img" "$box/B.img"; echo A >"$box/booted"; echo A >"$box/next"; echo first >"$box/boot_id"
  printf '#!/bin/sh\necho asked >%s/restart\n' "$box" >"$box/reboot"; printf '#!/bin/sh\necho $1 >%s/next\n' "$box" >"$box/start_next"; printf '#!/bin/sh\ncat %s/booted >%s/good\n' "$box" "$box" >"$box/keep"
  chmod 755 "$box"/{reboot,start_next,keep}
  sed -i '/^exec/d' "$work/$id/agent.yaml"
  echo "handlers: [files, exec]
exec: {run_as: nobody, programs: {$2: $work/installers/$2, alive: $work/alive}, as_root: [$2], environment: {AB_STATE: $box/state, AB_RESTART: $box/reboot, AB_BOOT_ID: $box/boot_id, $3}}" >>"$work/$id/agent.yaml"
  ctl model create "m-$id" >/dev/null
}
release() { # release ID VERSION FOLDER MANIFEST
  ctl release publish --model "m-$1" --version "$2" --variant "cam-a=$3" --manifest <(printf '%s\n' "handler: exec" "$4") -o name >/dev/null || fail "publishing $2 of $1"
}
start_rollout() { ctl rollout create --release "m-$1@$2" -l "id=$1" --policy "$work/policy.yaml" --start -o name || fail "rolling out $2 on $1"; }
completes() { ctl rollout wait "$1" --timeout 60s; }
failed_with() { ctl rollout devices "$1" -o json | jq -e --arg c "$2" '.items[0].error.code == $c' >/dev/null; }
restart_asked() { [ -s "$work/$1.box/restart" ]; }
# boot ID SLOT: the machine starts again, and its boot loader takes SLOT.
boot() {
  until_true 30 restart_asked "$1" || fail "$1 does not ask for its restart"
  kill_agent "$1"
  rm "$work/$1.box/restart"; echo "$2" >"$work/$1.box/booted"; date +%s%N >"$work/$1.box/boot_id"
  after_boot "$1"; start_agent "$1"
}
after_boot() { :; }
holds() { cmp -s -n "$(stat -c %s "$2")" "$1" "$2"; }

## RAUC
box=$work/d1.box
new_box d1 rauc "DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=$work/bus'"
cat >"$work/bus.conf" <<XML
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path=$work/bus</listen><policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/></policy></busconfig>
XML
cat >"$box/loader" <<SH
#!/bin/sh
case \$1 in
  get-primary) cat $box/next ;;
  set-primary) echo \$2 >$box/next ;;
  get-state) cat $box/state.\$2 2>/dev/null || echo good ;;
  set-state) echo \$3 >$box/state.\$2 ;;
esac
SH
chmod 755 "$box/loader"
cat >"$work/system.conf" <<CONF
[system]
compatible=camera
bootloader=custom
statusfile=$box/rauc.status
mountprefix=$box/mnt
activate-installed=false
[keyring]
path=$work/cert.pem
[handlers]
bootloader-custom-backend=$box/loader
[slot.rootfs.0]
device=$box/A.img
type=raw
bootname=A
[slot.rootfs.1]
device=$box/B.img
type=raw
bootname=B
CONF
dbus-daemon --config-file="$work/bus.conf" --nofork 2>/dev/null & others+=($!)
until_true 10 test -S "$work/bus" || fail "no bus"
export DBUS_SYSTEM_BUS_ADDRESS="unix:path=$work/bus"
rauc_pid=
rauc_answers() { (rauc status; exit $?) >/dev/null 2>&1; }
start_rauc() {
  [ -z "$rauc_pid" ] || { kill "$rauc_pid"; wait "$rauc_pid" 2>/dev/null; }
  rauc service -c "$work/system.conf" --override-boot-slot="$(cat "$box/booted")" >>"$work/rauc.log" 2>&1 & rauc_pid=$!; others+=($!)
  until_true 10 rauc_answers || fail "rauc does not answer"
}
after_boot() { [ "$1" != d1 ] || start_rauc; }
bundle() { # bundle VERSION
  mkdir -p "$work/os$1" "$work/in$1"; head -c 30000 /dev/urandom >"$work/in$1/rootfs.img"
  printf '[update]\ncompatible=camera\nversion=%s\n[bundle]\nformat=plain\n[image.rootfs]\nfilename=rootfs.img\n' "$1" >"$work/in$1/manifest.raucm"
  rauc --cert "$work/cert.pem" --key "$work/key.pem" bundle "$work/in$1" "$work/os$1/os.raucb" >/dev/null 2>&1 || fail "bundle $1"
  release d1 "$1" "$work/os$1" 'installer: {program: rauc, timeout: 1m}'
}
part_rauc() {
  start_rauc; start_agent d1; bundle 1
  local rollout; rollout=$(start_rollout d1 1)
  until_true 30 restart_asked d1 || { tail -n 3 "$work/rauc.log"; fail "the bundle is not installed"; }
  holds "$box/B.img" "$work/in1/rootfs.img" || fail "slot B does not hold it"
  echo "ok: rauc installed a bundle into the slot that does not run, and it is what starts next: $(cat "$box/next")"
  boot d1 B
  expect "started, it is committed" completes "$rollout"
  expect "and marked good" test "$(cat "$box/state.B")" = good
  bundle 2; rollout=$(start_rollout d1 2); boot d1 B
  expect "one that the boot loader did not stay with has failed" until_true 30 failed_with "$rollout" switch_failed
  expect "what starts next is what runs" until_true 10 test "$(cat "$box/next")" = B
  expect "and the device says so" until_true 20 version_is d1 1
}
version_is() { [ "$(ctl device get "$1" -o json | jq -r --arg m "m-$1" '.running[$m]')" = "$2" ]; }
mkdir "$work/probe"; echo x >"$work/probe/x"; mksquashfs "$work/probe" "$work/probe.sqfs" -quiet -no-progress >/dev/null 2>&1
if mount -o loop,ro -t squashfs "$work/probe.sqfs" "$work/probe" 2>/dev/null; then umount "$work/probe"; part_rauc; else echo "skipped: rauc mounts its bundles, and nothing can be mounted here"; fi

## SWUpdate
box=$work/d2.box
printf '#!/bin/sh\ncat %s/booted\n' "$box" >"$work/booted"; chmod 755 "$work/booted"
new_box d2 swupdate "SWUPDATE_KEY: $work/cert.pem, SWUPDATE_BOOTED: $work/booted, SWUPDATE_START_NEXT: $box/start_next, SWUPDATE_KEEP: $box/keep"
image() { # image VERSION
  mkdir -p "$work/fw$1" "$work/swu$1"; head -c 20000 /dev/urandom >"$work/swu$1/rootfs.img"
  local sum; sum=$(sha256sum "$work/swu$1/rootfs.img" | cut -d' ' -f1)
  set_of() { echo "{ images: ( { filename = \"rootfs.img\"; device = \"$box/$1.img\"; type = \"raw\"; sha256 = \"$sum\"; } ); };"; }
  echo "software = { version = \"$1\"; hardware-compatibility = [ \"1\" ]; stable = { copy-1 = $(set_of A) copy-2 = $(set_of B) }; }" >"$work/swu$1/sw-description"
  (cd "$work/swu$1" && openssl cms -sign -in sw-description -out sw-description.sig -signer "$work/cert.pem" -inkey "$work/key.pem" -outform DER -nosmimecap -binary &&
    printf 'sw-description\nsw-description.sig\nrootfs.img\n' | cpio -o -H crc 2>/dev/null) >"$work/fw$1/fw.swu" || fail "image $1"
  release d2 "$1" "$work/fw$1" 'installer: {program: swupdate, timeout: 1m}'
}
start_agent d2
image 1; rollout=$(start_rollout d2 1); boot d2 B
expect "swupdate installed an image into the other slot, which was started and kept" completes "$rollout"
expect "with its bytes" holds "$box/B.img" "$work/swu1/rootfs.img"
image 2; rollout=$(start_rollout d2 2); boot d2 A
expect "the next one goes into the first slot" completes "$rollout"
expect "whole" holds "$box/A.img" "$work/swu2/rootfs.img"
echo again >"$box/restart"; boot d2 B
expect "a boot loader that takes the other slot later is believed" until_true 20 failed_with "$rollout" fell_back
mkdir "$work/fw3"; head -c 5000 "$work/fw2/fw.swu" >"$work/fw3/fw.swu"; release d2 3 "$work/fw3" 'installer: {program: swupdate, timeout: 1m}'
rollout=$(start_rollout d2 3)
expect "an image that swupdate refuses is not switched to" until_true 40 failed_with "$rollout" install_failed
kill_agent d2

## Containers
mkdir -p "$work/rootfs/bin" "$work/rootfs/beat" "$work/rootfs/proc" "$work/rootfs/dev" "$work/rootfs/sys" "$work/beat"
for program in /bin/sh /bin/sleep; do cp "$program" "$work/rootfs/bin/"; for library in $(ldd "$program" | grep -o '/[^ ]*'); do mkdir -p "$work/rootfs/${library%/*}"; cp -L "$library" "$work/rootfs$library"; done; done
box=$work/d3.box
new_box d3 container "CONTAINERS: $box/containers, CONTAINERS_RESTART: $box/restart_unit, CONTAINERS_STOP: $box/restart_unit"
printf '#!/bin/sh\necho "$1" >%s/wanted\n' "$box" >"$box/restart_unit"; chmod 755 "$box/restart_unit"
# What systemd does by fleet-container@.service.
run_unit() {
  while :; do
    if [ -e "$box/wanted" ]; then rm -f "$box/wanted"; runc delete --force "$unit" 2>/dev/null; [ -e "$box/containers/m-d3/current" ] && runc run --detach --bundle "$box/containers/m-d3/current" "$unit" </dev/null >>"$work/runc.log" 2>&1; fi
    sleep 0.1
  done
}
unit=fleet-test-$$
container() { # container VERSION COMMAND
  mkdir -p "$work/app$1"; tar cf "$work/app$1/rootfs.tar" -C "$work/rootfs" .
  (cd "$work/app$1" && rm -f config.json && runc spec && jq --arg c "$2" --arg beat "$work/beat" '.process.terminal = false | .process.args = ["/bin/sh", "-c", $c] | .root.readonly = true | .mounts += [{destination: "/beat", type: "bind", source: $beat, options: ["bind", "rw"]}]' config.json >c && mv c config.json)
  release d3 "$1" "$work/app$1" 'installer: {program: container, timeout: 1m}
health: [{exec: [alive], every: 300ms}]
probation: {time: 1500ms, max: 20s}'
}
part_containers() {
  run_unit & others+=($!)
  start_agent d3
  container 1 'while :; do echo 1 >/beat/x; sleep 0.2; done'; expect "a container is loaded, started and kept" completes "$(start_rollout d3 1)"
  container 2 'while :; do echo 2 >/beat/x; sleep 0.2; done'; expect "and the next in its place" completes "$(start_rollout d3 2)"
  container 3 'exit 1'
  local rollout; rollout=$(start_rollout d3 3)
  expect "one that does not run fails its health check" until_true 40 failed_with "$rollout" health_failed
  alive_again() { [ "$(cat "$work/beat/x")" = 2 ] && [ "$(stat -c %Y "$work/beat/x")" -ge "$1" ]; }
  expect "and the one before it runs again" until_true 20 alive_again "$(date +%s)"
  only_two() { [ "$(ls -d "$box"/containers/m-d3/????????????????????????????????* | wc -l)" -eq 2 ]; }
  expect "what is kept no more is gone" until_true 10 only_two
  runc delete --force "$unit"
}
mkdir -p "$work/try/rootfs"; cp -r "$work/rootfs/." "$work/try/rootfs"
(cd "$work/try" && runc spec && jq '.process.terminal = false | .process.args = ["/bin/sh", "-c", "exit 0"]' config.json >c && mv c config.json)
if runc run --bundle "$work/try" "$unit-try" </dev/null >/dev/null 2>&1; then part_containers; else echo "skipped: runc cannot run a container here"; fi
