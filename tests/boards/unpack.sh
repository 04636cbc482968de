#!/usr/bin/env bash
# A board's fleet-unpack, emulated, tells of archives byte for byte what this machine's does. usage: tests/boards/unpack.sh BIN_DIR FOLDER_OF_THE_AGENT QEMU
set -euo pipefail
bin=$(realpath "$1") board=$(realpath "$2") qemu=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tree/lib"
head -c 3000000 /dev/urandom >"$work/tree/model.bin"
touch -d 2040-06-01 "$work/tree/model.bin"
printf 'labels\n' >"$work/tree/lib/läbels.txt"
ln -s ../model.bin "$work/tree/lib/model"
tar -C "$work/tree" -cf "$work/a.tar" .
gzip -k "$work/a.tar"
zstd -q "$work/a.tar"
(cd "$work/tree" && python3 -c 'import zipfile; z = zipfile.ZipFile("../a.zip", "w", zipfile.ZIP_DEFLATED); [z.write(n) for n in ("lib/läbels.txt",)]; z.writestr("late.txt", "x"); z.close()')
for kind in tar tar.gz tar.zst zip; do
  "$bin/fleet-unpack" $kind 100 100000000 <"$work/a.$kind" >"$work/here"
  "$qemu" "$board/fleet-unpack" $kind 100 100000000 <"$work/a.$kind" >"$work/there"
  cmp "$work/here" "$work/there"
  echo "ok: $kind, $(stat -c %s "$work/here") bytes told"
done
