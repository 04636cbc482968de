#!/usr/bin/env bash
# The network is cut in mid-download; blobs on the server are flipped, cut, too long.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
new_agent d1; start_agent d1
make_release "$work/v1" one
publish 1 "$work/v1"
expect "1 is rolled out" ctl rollout wait "$(roll_out 1)" --timeout 20s

blob_of() { local sum; sum=$(sha256sum "$1" | cut -d' ' -f1); echo "$work/server/blobs/${sum:0:2}/$sum"; }
printf 'stages: [{percent: 100}]\non_harm: pause\ndevice: {attempts: 1}\n' >"$work/once.yaml"
holds() { cmp -s "$1" "$work/d1/models/m/current/model.bin"; }
n=1 last=$work/v1/model.bin
for damage in flipped cut long; do
  n=$((n + 1))
  make_release "$work/v$n" ""
  { echo '....'; head -c 20000 /dev/urandom; } >"$work/v$n/model.bin"  # nothing to compress: the file itself travels
  publish $n "$work/v$n"
  blob=$(blob_of "$work/v$n/model.bin"); cp "$blob" "$work/good"
  case $damage in
    flipped) printf 'X' | dd of="$blob" bs=1 seek=1 conv=notrunc status=none ;;
    cut) truncate -s 1000 "$blob" ;;
    long) echo more >>"$blob" ;;
  esac
  r=$(roll_out $n "$work/once.yaml")
  told() { ctl device history d1 -o json | jq -e --arg v $n '[.items[] | select(.version == $v and .error != null)] | length > 0' >/dev/null; }
  [ $damage = long ] || expect "a $damage blob is refused and told" until_true 30 told
  [ $damage = long ] || expect "what runs goes on" holds "$last"
  # The size of a range is the catalog's, so bytes behind it are never sent.
  cp "$work/good" "$blob"
  [ $damage = long ] || expect "retry after the mend" ctl rollout retry "$r" --reason mended
  expect "the release arrives" until_true 40 holds "$work/v$n/model.bin"
  expect "its rollout completes" ctl rollout wait "$r" --timeout 30s
  last=$work/v$n/model.bin
done
