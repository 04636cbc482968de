#!/usr/bin/env bash
# The root of an old Linux: a shell, coreutils and glibc 2.23 of Ubuntu 16.04 (April 2016), unpacked from packages that are known by their digests.
# usage: tests/boards/old_root.sh DIR   UBUNTU_MIRROR=http://archive.ubuntu.com/ubuntu
set -euo pipefail
dir=$1 mirror=${UBUNTU_MIRROR:-http://archive.ubuntu.com/ubuntu}
[ ! -e "$dir/complete" ] || exit 0
rm -rf "$dir"
mkdir -p "$dir/debs" "$dir/root"
while read -r digest path; do
  file=$dir/debs/${path##*/}
  curl -sSf --retry 3 -o "$file" "$mirror/pool/main/$path"
  echo "$digest  $file" | sha256sum --quiet -c
  dpkg-deb -x "$file" "$dir/root"
done <<'PACKAGES'
95fa008e8910c876c4487e6f4a80ed25cee0b0fedb265f8fd8205a766cf638b3 b/base-files/base-files_9.4ubuntu4_amd64.deb
fcc13a5bc7476a3a458b9ff989838e04cd4405259d313669707b245322b45788 b/base-passwd/base-passwd_3.5.39_amd64.deb
68d69a0fb2dae7578a2a7054bc0cd5f0994d523f60d540bc6708ff3f2fb33e18 g/glibc/libc6_2.23-0ubuntu3_amd64.deb
c46b4b8c9c952bfeab03993451f7c3c7f5d359ebfbf381e6c36e2870373cde85 d/dash/dash_0.5.8-2.1ubuntu2_amd64.deb
3d0d81ea9128d85d3fa4f593d9bed54a403007856619e99c3784bc76eaee6498 c/coreutils/coreutils_8.25-2ubuntu2_amd64.deb
a6f4378176071b6d9f2b6f0402edf8ef6cd2cc53ad4052089642aad358fe55a6 a/acl/libacl1_2.2.52-3_amd64.deb
6b34040173acef1b806b128bc258b130519b2a7eb167ff1c3f3cb98fa1ddc648 a/attr/libattr1_2.4.47-2_amd64.deb
1d71715f2fa16391e55e29f2b4238ca4333f6324a40e5fc503bce9760d5b9330 libs/libselinux/libselinux1_2.4-3build2_amd64.deb
736f799fbb8a8d4be8cdded2b046813de391661d925d6e5a5a82febf65bbf065 p/pcre3/libpcre3_8.38-3.1_amd64.deb
PACKAGES
cp "$dir/root/usr/share/base-passwd/passwd.master" "$dir/root/etc/passwd"
cp "$dir/root/usr/share/base-passwd/group.master" "$dir/root/etc/group"
ln -sf dash "$dir/root/bin/sh"
rm -rf "$dir/debs"
touch "$dir/complete"
