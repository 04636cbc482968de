#!/usr/bin/env bash
# A release travels as a tensor delta: onto the one that runs, past a mirror whose objects are spoiled, over a metered link, and on from its bitmap after a kill.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
# weights SEED CHANGED FILE: 6 MB of int8 tensors in safetensors' format; CHANGED of 1,000 differ by one from those of the same seed.
weights() {
  python3 - "$@" <<'PY'
import json, random, struct, sys
seed, changed, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
random.seed(seed)
names = [f"layer{i}" for i in range(6)]
data = [bytearray(random.randbytes(1_000_000)) for _ in names]
random.seed(changed)
for one in data:
    for at in random.sample(range(len(one)), len(one) * changed // 1000): one[at] = (one[at] + 1) % 256
header = json.dumps({n: {"dtype": "I8", "shape": [1_000_000], "data_offsets": [i * 1_000_000, (i + 1) * 1_000_000]} for i, n in enumerate(names)}).encode()
header += b" " * (-len(header) % 8)
open(path, "wb").write(struct.pack("<Q", len(header)) + header + b"".join(data))
PY
}
release() { mkdir -p "$work/v$1"; weights 1 "$2" "$work/v$1/model.safetensors"; echo "$1" >"$work/v$1/model.bin"; publish "$1" "$work/v$1"; }
# ready VERSION KIND: that route is prepared
ready() { ctl release get "m@$1" -o json | jq -e --arg k "$2" '.routes[].routes[] | select(.state == "ready" and .kind == $k)' >/dev/null; }
bytes_of() { ctl release get "m@$1" -o json | jq '[.routes[].routes[] | select(.state == "ready") | .bytes] | min'; }
same() { cmp -s "$work/v$2/model.safetensors" "$work/$1/models/m/current/model.safetensors"; }
new_agent d1; new_agent d2; start_agent d1; start_agent d2
release 1 0
expect "release 1 arrives as it is: random bytes do not get smaller" ctl rollout wait "$(roll_out 1)" --timeout 40s
expect "nothing is offered that saves nothing" test "$(ctl release get m@1 -o json | jq '[.routes[].routes[] | select(.state == "ready")] | length')" = 0

release 2 30
expect "a delta from what the fleet runs is prepared" until_true 40 ready 2 tensor_delta
size=$(stat -c %s "$work/v2/model.safetensors") delta=$(bytes_of 2)
expect "of less than a fifth of the bytes ($delta of $size)" test "$delta" -lt $((size / 5))
expect "people see what it saves" grep -q "tensor_delta from m@1 .*saves [89]" <<<"$(ctl release get m@2)"
expect "a plan says how many bytes and hours" grep -q "at 1Mbit/s: .* where all share it" <<<"$(ctl rollout plan --release m@2 --all --policy "$work/policy.yaml" --uplink 1Mbit/s)"
# A mirror that has every object, spoiled in its midst; and a link that is metered, over which the delta may go and the file may not.
mkdir -p "$work/mirror/blobs/sha256"
find "$work/server/content/objects" -type f | while read -r one; do cp "$one" "$work/mirror/blobs/sha256/"; printf 'X' | dd of="$work/mirror/blobs/sha256/${one##*/}" bs=1 seek=$(($(stat -c %s "$one") / 2)) conv=notrunc status=none; done
python3 "$here/../support/mirror.py" "$work/mirror.port" "$work/mirror" 2>"$work/mirror.log" & others+=($!)
until_true 10 test -s "$work/mirror.port" || fail "the mirror does not start"
kill_agent d2; printf 'sources: ["http://127.0.0.1:%s"]\nbandwidth: {metered: "yes"}\n' "$(cat "$work/mirror.port")" >>"$work/d2/agent.yaml"; start_agent d2
printf 'stages: [{percent: 100}]\non_harm: pause\ndevice: {metered: avoid, metered_max: 2MiB}\n' >"$work/metered.yaml"
r=$(roll_out 2 "$work/metered.yaml")
expect "release 2 reaches both" ctl rollout wait "$r" --timeout 60s
expect "the one has the very bytes" same d1 2
expect "the other, too" same d2 2
for one in d1 d2; do
  expect "$one took the delta" grep -q "download.route .*kind=tensor_delta" "$work/$one.agent.log"
  expect "and nothing as it is" test "$(grep -c "download.as_is\|download.next_route" "$work/$one.agent.log")" = 0
done
expect "the mirror was asked, and caught" grep -q "source_failed.*127.0.0.1:$(cat "$work/mirror.port").*mismatch" "$work/d2.agent.log"

# On a thin line, killed in its midst, it goes on from what its bitmap says.
kill_agent d1; kill_agent d2; printf 'bandwidth: {max: 512kbit/s}\n' >>"$work/d1/agent.yaml"; start_agent d1
release 3 70
expect "the next delta is prepared" until_true 40 ready 3 tensor_delta
r=$(ctl rollout create --release m@3 -l id=d1 --policy "$work/policy.yaml" --start -o name)
maps() { ls "$work"/d1/models/m/staging/*.parts/*.map >/dev/null 2>&1; }
expect "a bitmap is kept while it comes" until_true 40 maps
kill_agent d1; sed -i '/^bandwidth/d' "$work/d1/agent.yaml"; start_agent d1
expect "release 3 arrives" ctl rollout wait "$r" --timeout 60s
expect "with the very bytes" same d1 3
expect "from the bitmap" grep -q "download.resumed .*by_bitmap=true" "$work/d1.agent.log"
expect "and what it was made with is gone" test "$(find "$work/d1/models/m/staging" -type f | wc -l)" = 0
