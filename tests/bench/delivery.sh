#!/bin/bash
# Hundreds of devices fetch one object at the same moment from a real server whose files are bound: how long it takes beside what the bytes alone take, what the
# server holds of memory, and its CPU a GB. usage: tests/bench/delivery.sh [BIN_DIR]   DEVICES=500 MB=5 EGRESS_MBIT=1000
set -euo pipefail
devices=${DEVICES:-500} mb=${MB:-5} mbit=${EGRESS_MBIT:-1000}
IDENTITIES=$devices . "$(dirname "$0")/lib.sh"
seed "$work/data" "$devices"
server_words=(--egress "${mbit}Mbit/s")
start_server "$work/data"
use_api "$work/data"
head -c $((mb * 1000000)) /dev/urandom >"$work/model.bin"
ctl model create m >/dev/null
ctl release publish --model m --version 1 --variant "cam-a=$work/model.bin" --variant "cam-b=$work/model.bin" -o name >/dev/null
# As if a directive had named it to each.
sqlite3 "$work/data/fleet.db" "INSERT INTO named_releases (device, release) SELECT d.n, r.n FROM devices d, releases r"
blob=${url%/device/v1/poll}/blobs/sha256/$(sha256sum "$work/model.bin" | cut -d' ' -f1)
before_kb=$(memory_kb "$server_pid") before=$(cpu_us "$server_pid")
began=$(date +%s%N)  # with the handshakes: whoever is in is served while the others come
line=$("${on_load[@]}" "$bin/fleet-load" --url "$blob" --identities "$work/identities.pem" --connections "$devices" --once 1)
took_ms=$(( ($(date +%s%N) - began) / 1000000 ))
used=$(( $(cpu_us "$server_pid") - before ))
echo "  $line" >&2
peak_kb=$(awk '/^VmHWM/ {print $2}' "/proc/$server_pid/status")
echo "$line" | awk -v n="$devices" -v mb="$mb" -v mbit="$mbit" -v ms="$took_ms" -v us="$used" -v from="$before_kb" -v peak="$peak_kb" '{
  for (i = 1; i <= NF; ++i) { split($i, kv, "="); v[kv[1]] = kv[2] }
  ideal = n * mb * 8 / mbit
  printf "delivery devices=%d bytes=%.0f took_s=%.1f ideal_s=%.1f ratio=%.3f told_later=%d\n", n, n * mb * 1e6, ms / 1000, ideal, ms / 1000 / ideal, v["later"]
  printf "server cpu_s_per_gb=%.2f memory_before_mib=%.1f memory_peak_mib=%.1f kib_per_device=%.1f\n", us / 1e6 / (n * mb / 1000), from / 1024, peak / 1024, (peak - from) / n
}'
stop_server
