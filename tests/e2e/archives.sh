#!/usr/bin/env bash
# A release packed in archives: unpacked on the device by a child that makes no file, checked like any other slot, gone on from after a kill; what its owner does not allow, and
# archives that are none or want out, end with a clear word and touch nothing.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
new_agent d1; start_agent d1
pack() { # pack FOLDER CONTENT END [GOLDEN_EXIT]: FOLDER/app.END, and expect.txt beside it
  make_release "$work/tree" "$2" "${4:-0}"; mkdir -p "$1"; mv "$work/tree/expect.txt" "$1"
  ln -sf ../model.bin "$work/tree/lib/model"
  case $3 in
    tar) tar cf "$1/app.tar" -C "$work/tree" . ;;
    tar.gz) tar czf "$1/app.tar.gz" -C "$work/tree" . ;;
    tar.zst) tar cf - -C "$work/tree" . | zstd -q >"$1/app.tar.zst" ;;
    zip) (cd "$work/tree" && python3 -c 'import zipfile; z = zipfile.ZipFile("../app.zip", "w", zipfile.ZIP_DEFLATED); [z.write(n) for n in ("model.bin", "lib/check.sh")]; z.close()'); mv "$work/app.zip" "$1" ;;
  esac
  rm -rf "$work/tree"
}
printf '%s\nhandler: archive\n' "$golden" >"$work/archive.yaml"
update_error() { ctl device get d1 -o json | jq -r '.update.error.code // "none"'; }
error_is() { [ "$(update_error)" = "$1" ]; }
error_text() { ctl device get d1 -o json | jq -r '.update.error.text // "none"'; }

pack "$work/v1" one tar
publish 1 "$work/v1" --manifest "$work/archive.yaml"
first=$(roll_out 1)
expect "what the owner does not allow is no release for this device" until_true 20 error_is ineligible
expect "and the reason names what is allowed" grep -q 'handler archive, and this device allows files' <<<"$(error_text)"
ctl rollout abort "$first" --yes >/dev/null
printf 'handlers: [files, archive]\nunpack: {max: 1MiB}\n' >>"$work/d1/agent.yaml"
kill -HUP "${agent_pid[d1]}"
version=2
for end in tar.gz tar.zst zip; do
  pack "$work/v$version" "content $end" $end
  publish $version "$work/v$version" --manifest "$work/archive.yaml"
  expect "a $end is rolled out, its own test having passed" ctl rollout wait "$(roll_out $version)" --timeout 40s
  expect "and unpacked" content_is d1 "content $end"
  version=$((version + 1))
done
slot=$(readlink -f "$work/d1/models/m/current")
expect "with its program, the file beside it, and no archive" test -x "$slot/lib/check.sh" -a -f "$slot/expect.txt" -a ! -e "$slot/app.zip"
expect "of the agent's own user" test "$(stat -c %U "$slot/model.bin")" = "$(id -un)"

# Each ends with a word, at the owner's limits, and what ran before runs.
bad() { # bad WHAT CODE TEXT: the release in $work/bad
  publish $version "$work/bad" --manifest "$work/archive.yaml"
  local rollout; rollout=$(roll_out $version)
  said() { error_is "$2" && grep -q "$3" <<<"$(error_text)"; }
  until_true 20 said "$@" || { error_text; fail "$1"; }
  echo "ok: $1: $2"
  ctl rollout abort "$rollout" --yes >/dev/null || fail abort
  content_is d1 'content zip' || fail "$1 touched what runs"
  version=$((version + 1)); rm -rf "$work/bad"
}
mkdir "$work/bad"; echo ok >"$work/bad/expect.txt"; (cd "$work/bad" && echo x >../evil && tar cPf app.tar ../evil)
bad "a name that leads out" bad_archive "evil"
mkdir "$work/bad"; echo ok >"$work/bad/expect.txt"; head -c 8M /dev/zero | tee "$work/zeros" >/dev/null; tar czf "$work/bad/app.tar.gz" -C "$work" zeros
bad "a bomb" bad_archive "more than 1048576 bytes"
mkdir "$work/bad"; echo ok >"$work/bad/expect.txt"; ln -s /etc "$work/out"; tar cf "$work/bad/app.tar" -C "$work" out
bad "a link that leads out" bad_archive "absolute"
expect "nothing of it lies outside" test ! -e "$work/d1/models/m/staging/evil" -a ! -e "$work/d1/models/m/evil" -a "$(ls "$work/d1/models/m/staging" | wc -l)" -eq 0
expect_code "a variant without an archive is no publication" 2 ctl release publish --model m --version 99 --variant "cam-a=$work/d1/models/m/current/lib" --manifest "$work/archive.yaml"

# Killed while it unpacks, and while what came out lies there: the next start ends it.
make_release "$work/tree" big; head -c 900000 /dev/urandom >"$work/tree/weights"; mkdir "$work/big"; mv "$work/tree/expect.txt" "$work/big"; tar cf "$work/big/app.tar" -C "$work/tree" .
publish $version "$work/big" --manifest "$work/archive.yaml"
rollout=$(roll_out $version)
begun() { [ -e "$work/d1/models/m/staging/"*/weights ] 2>/dev/null || [ "$(state_of d1)" = committed ] && content_is d1 big; }
until_true 20 begun
kill_agent d1; start_agent d1
expect "killed on the way, it goes on" ctl rollout wait "$rollout" --timeout 40s
expect "and runs the new one" content_is d1 big
echo damaged >"$(readlink -f "$work/d1/models/m/current")/weights"
previous=$(readlink -f "$work/d1/models/m/current")
expect "back to the version before" "$bin/fleet-agent" rollback --root "$work/d1" --model m
until_true 20 content_is d1 'content zip' || fail "the owner's way back"
expect "which is whole" test -x "$work/d1/models/m/current/lib/check.sh"
"$bin/fleet-agent" unhold --root "$work/d1" --model m >/dev/null
until_true 30 content_is d1 big || fail "taken again"
expect "what was damaged was fetched and unpacked again" test "$(stat -c %s "$previous/weights")" -eq 900000
