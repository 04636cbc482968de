#!/usr/bin/env bash
# Releases that a program of the owner installs: it is asked to check, install, switch, commit, go back and give back, each again after a kill; what it refuses, cannot do yet,
# or brought back by itself (a boot loader) is told as that.
. "$(dirname "$0")/lib.sh"
init_server; start_server
printf 'stages: [{percent: 100}]\non_harm: pause\ndevice: {attempts: 2}\n' >"$work/policy.yaml"
ctl model create m >/dev/null
new_agent d1
# One that keeps a tree beside the slots: `installed/DIGEST`, and what runs in `current`. It notes each verb, and ends as `says/VERB` has it.
mkdir -m 777 "$work/box"
cat >"$work/installer" <<SH
#!/bin/sh
box=$work/box
echo "\$1 \$FLEET_VERSION" >>\$box/log
[ ! -e \$box/says/\$1 ] || { echo "\$1 says no" >&2; exit \$(cat \$box/says/\$1); }
case \$1 in
  check) ;;
  install) mkdir -p \$box/installed/\$FLEET_RELEASE; for f in \$FLEET_FILES; do cat "\$FLEET_SLOT/\$f" >"\$box/installed/\$FLEET_RELEASE/\$(basename \$f)"; done; [ ! -e \$box/slow ] || sleep 30 ;;
  switch) echo "\$FLEET_RELEASE" >\$box/current ;;
  commit) echo "\$FLEET_RELEASE" >\$box/good ;;
  rollback) echo "\$FLEET_PREVIOUS" >\$box/current ;;
  collect) for d in \$(ls \$box/installed); do case " \$FLEET_KEEP " in *" \$d "*) ;; *) rm -r \$box/installed/\$d ;; esac; done ;;
  state) echo "current=\$(cat \$box/current)" ;;
  *) exit 2 ;;
esac
SH
chmod 755 "$work/installer"; install -d -m 777 "$work/box/says"
sed -i "s|^exec: {|exec: {programs: {box: $work/installer}, |" "$work/d1/agent.yaml"
grep -q '^exec' "$work/d1/agent.yaml" || echo "exec: {programs: {box: $work/installer}}" >>"$work/d1/agent.yaml"
echo 'handlers: [files, exec]' >>"$work/d1/agent.yaml"
start_agent d1
printf '%s\nhandler: exec\ninstaller: {program: box, timeout: 20s}\n' "$golden" >"$work/exec.yaml"
says() { echo "$2" >"$work/box/says/$1"; }
quiet() { rm -f "$work/box/says/"*; }
verbs() { tr '\n' ',' <"$work/box/log"; }
box_runs() { [ "$(cat "$work/box/installed/$(cat "$work/box/current")/model.bin")" = "$1" ]; }
new_version() { make_release "$work/v$1" "content $1"; publish "$1" "$work/v$1" --manifest "${2:-$work/exec.yaml}"; }
# What the server has of the rollout's device, or the device itself of what it came upon.
error_is() { ctl rollout devices "$rollout" -o json | jq -e --arg c "$1" '.items[0].error.code == $c' >/dev/null; }
told() { "$bin/fleet-agent" status --root "$work/d1" -o json | jq -e --arg c "$1" 'any(.models[].because[]; .code == $c)' >/dev/null; }

new_version 1
expect "a release is rolled out by the owner's program" ctl rollout wait "$(roll_out 1)" --timeout 40s
expect "asked in order" test "$(verbs)" = "check 1,install 1,switch 1,commit 1,"
expect "and it runs there" box_runs 'content 1'
expect "where its golden test was run before" content_is d1 'content 1'

: >"$work/box/log"; says check 1; new_version 2; rollout=$(roll_out 2)
expect "what it cannot take is no release for this device" until_true 20 error_is ineligible
expect "nothing was asked further" test "$(verbs)" = "check 2,"
ctl rollout abort "$rollout" --yes >/dev/null; quiet

says install 9; new_version 3; rollout=$(roll_out 3)
expect "an installation that fails is tried again, then has failed" until_true 40 error_is install_failed
expect "as often as the policy says" test "$(grep -c 'install 3' "$work/box/log")" -eq 2
expect "and what runs was not touched" box_runs 'content 1'
ctl rollout abort "$rollout" --yes >/dev/null; quiet

: >"$work/box/log"; says switch 75; new_version 4; rollout=$(roll_out 4)
expect "a switch that takes a restart is waited for" until_true 20 told installer_busy
kill_agent d1; quiet; start_agent d1
expect "and asked for again after it" ctl rollout wait "$rollout" --timeout 40s
expect "then it runs" box_runs 'content 4'

says commit 1; new_version 5; rollout=$(roll_out 5)
expect "what cannot be committed goes back" until_true 30 box_runs 'content 4'
expect "and is told with the program's words" until_true 20 error_is commit_failed
expect "by a rollback" grep -q 'rollback 5' "$work/box/log"
ctl rollout abort "$rollout" --yes >/dev/null; quiet

: >"$work/box/log"; touch "$work/box/slow"; new_version 6; rollout=$(roll_out 6)
installing() { grep -q 'install 6' "$work/box/log"; }
until_true 20 installing || fail "the sixth is not installed"
kill_agent d1; rm "$work/box/slow"; start_agent d1
expect "killed while it installs, it is asked again" ctl rollout wait "$rollout" --timeout 40s
expect "twice" test "$(grep -c 'install 6' "$work/box/log")" -ge 2
kept() { [ "$(ls "$work/box/installed" | wc -l)" -eq 2 ]; }
expect "what is kept no more was given back: current and previous stay" until_true 10 kept

kill_agent d1
previous=$(readlink "$work/d1/models/m/current.back"); basename "$previous" >"$work/box/current"
start_agent d1
expect "a boot loader that went back by itself is believed" until_true 20 content_is d1 'content 4'
expect "and told" until_true 20 error_is fell_back
runs_4() { runs d1 4; }
expect "with what runs" until_true 20 runs_4
: >"$work/box/log"
expect_code "the owner's own way back ends nowhere" 6 "$bin/fleet-agent" rollback --root "$work/d1" --model m

if [ "$(id -u)" -eq 0 ]; then
  sed -i 's|exec: {programs|exec: {as_root: [box], programs|' "$work/d1/agent.yaml"; kill -HUP "${agent_pid[d1]}"
  sed -i 's|^  install) |  install) id -un >$box/user; |' "$work/installer"
  new_version 7
  expect "a program that the owner lets install as root" ctl rollout wait "$(roll_out 7)" --timeout 40s
  expect "is root" test "$(cat "$work/box/user")" = root
fi
sed -i 's|, exec\]|]|' "$work/d1/agent.yaml"; kill -HUP "${agent_pid[d1]}"
new_version 8; rollout=$(roll_out 8)
expect "without the handler in agent.yaml none is asked" until_true 20 error_is ineligible
