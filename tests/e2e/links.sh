#!/usr/bin/env bash
# A folder with links: those within it are links on the device, one that leads out is a file; what was installed is compared link by link.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
new_agent d1; start_agent d1
make_release "$work/v1" one
mkdir -p "$work/v1/weights/empty"; echo out >"$work/outside"
mv "$work/v1/model.bin" "$work/v1/weights/1.bin"
ln -s weights/1.bin "$work/v1/model.bin"; ln -s ../weights "$work/v1/lib/w"; ln -s lib/check.sh "$work/v1/check"; ln -s "$work/outside" "$work/v1/extra"
"$bin/fleetctl" --no-color release publish --model m --version 1 --variant "cam-a=$work/v1" --manifest <(echo 'golden: {command: [check], expect: lib/w/../expect.txt, timeout: 10s}') >/dev/null 2>"$work/said" && fail "lib/w/.. is not lib"
"$bin/fleetctl" --no-color release publish --model m --version 1 --variant "cam-a=$work/v1" --manifest <(echo 'golden: {command: [check], expect: expect.txt, timeout: 10s}') >/dev/null 2>"$work/said" || { cat "$work/said"; fail "publishing"; }
expect "links within are kept" grep -q '3 links are kept' "$work/said"
expect "and one that leads out is followed" grep -q '1 links were followed' "$work/said"
expect "the release shows them" grep -q 'model.bin -> weights/1.bin' <<<"$(ctl release get m@1)"
expect "it is rolled out" ctl rollout wait "$(roll_out 1)" --timeout 40s
slot=$work/d1/models/m/current
expect "the device has the links" test "$(readlink "$slot/model.bin") $(readlink "$slot/lib/w") $(readlink "$slot/check")" = "weights/1.bin ../weights lib/check.sh"
expect "through which its files are read" content_is d1 one
expect "the empty folder" test -d "$slot/weights/empty"
expect "and a file for the one that led out" test "$(cat "$slot/extra")" = out -a ! -L "$slot/extra"
expect "one copy of each file" test "$(find -P "$(readlink -f "$slot")" -type f | wc -l)" -eq 4
expect "verify finds them" ctl release verify m@1 --path "cam-a=$work/v1"
ln -sf weights/empty "$work/v1/model.bin"
expect_code "and one that leads elsewhere" 4 ctl release verify m@1 --path "cam-a=$work/v1"
for wrong in ../outside gone . model.bin; do
  rm -rf "$work/bad"; make_release "$work/bad" two; rm "$work/bad/model.bin"; ln -s "$wrong" "$work/bad/model.bin"
  got=0; ctl release publish --model m --version 2 --variant "cam-a=$work/bad" >/dev/null 2>&1 || got=$?
  [ "$wrong" = ../outside ] && wanted=0 || wanted=2
  expect "a link to $wrong: $wanted" test $got -eq $wanted
done
file() { printf '{"name":"%s","size":4,"sha256":"%s"}' "$1" "$(sha256sum "$work/v1/weights/1.bin" | cut -d' ' -f1)"; }
for target in /etc/passwd ../../../../etc/passwd x; do
  expect_code "a publication by hand with a link to $target" 2 ctl api POST /models/m/releases --data "{\"version\":\"3\",\"variants\":[{\"hardware\":[\"a\"],\"files\":[$(file f)],\"links\":[{\"name\":\"x\",\"target\":\"$target\"}]}]}"
done
