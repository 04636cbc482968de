#!/usr/bin/env bash
# Bad places: a portal in the server's place, a server that takes connections and never speaks, a name that resolves to nothing, IPv6 alone, clocks of 1970, 2038 and 2106, no inode
# left, a disk that is read-only, files taken away, two agents on one folder. Each: what is wrong is said, the network is not burned, what runs goes on, and so does the update.
# With `silence` as second word also who never speaks: it takes the 45 s of a request's deadline.
if [ -z "${FLEET_E2E_MOUNTS:-}" ]; then
  apart=(unshare --mount)
  [ "$(id -u)" -eq 0 ] || apart+=(--map-root-user)
  "${apart[@]}" true 2>/dev/null || apart+=(--propagation unchanged)  # in a chroot / is no mount point
  "${apart[@]}" true || { echo "no mount namespace here"; exit 77; }
  FLEET_E2E_MOUNTS=1 exec "${apart[@]}" bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
cp /etc/hosts "$work/hosts"; echo '127.0.0.1 fleet.test' >>"$work/hosts"
mount --bind "$work/hosts" /etc/hosts || { echo "no file can be mounted here"; exit 77; }
mounts+=(/etc/hosts)
"$bin/fleet-server" init --data "$work/server" --host localhost --host fleet.test --host ::1 $(on_database) >/dev/null || fail "init"
export FLEETCTL_CA="$work/server/ca.pem" FLEETCTL_TOKEN_FILE="$work/server/admin.token"
start_server
port=${devices##*:}
six=; [ ! -e /proc/net/if_inet6 ] || ! grep -q ^00000000000000000000000000000001 /proc/net/if_inet6 || six=yes
ctl model create m >/dev/null
make_release "$work/v1" one; publish 1 "$work/v1"
make_release "$work/v2" two; for i in $(seq 300); do echo "$i" >"$work/v2/lib/$i"; done; publish 2 "$work/v2"

# What stands between a device and the server: `wire NAME`, then `place NAME WHAT` (server, portal or silence); connections are counted in NAME.count.
cat >"$work/wire.py" <<'PY'
import http.server, os, socket, ssl, sys, threading
folder, name, port, certificate = sys.argv[1:]
six = name == "six"
outside = socket.create_server(("::1" if six else "127.0.0.1", 0), family=socket.AF_INET6 if six else socket.AF_INET, backlog=64)
def keep(what, text):  # whole, or as it was
    with open(f"{folder}/{name}.{what}.new", "w") as file: file.write(str(text))
    os.rename(f"{folder}/{name}.{what}.new", f"{folder}/{name}.{what}")
keep("port", outside.getsockname()[1])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(certificate)
def pump(a, b):
    try:
        while data := a.recv(65536): b.sendall(data)
    except OSError: pass
    for s in (a, b):
        try: s.shutdown(socket.SHUT_RDWR)
        except OSError: pass
def serve(peer):
    what = open(f"{folder}/{name}.place").read().strip()
    if what == "silence": held.append(peer); return
    if what == "portal":
        try:
            with context.wrap_socket(peer, server_side=True) as tls:
                tls.recv(4096); tls.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n")
        except OSError: pass
        return
    server = socket.create_connection(("127.0.0.1", int(port)))
    threading.Thread(target=pump, args=(peer, server), daemon=True).start(); pump(server, peer)
held, count = [], 0
while True:
    peer, _ = outside.accept(); count += 1
    keep("count", count)
    threading.Thread(target=serve, args=(peer,), daemon=True).start()
PY
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/portal.key" -out "$work/portal.crt" -days 9 -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
cat "$work/portal.key" "$work/portal.crt" >"$work/portal.pem"
place() { echo "$2" >"$work/$1.place"; }
silent=${2:+silent}
wire() { place "$1" server; python3 "$work/wire.py" "$work" "$1" "$port" "$work/portal.pem" & others+=($!); until_true 10 test -s "$work/$1.port" || fail "no wire $1"; }
count() { cat "$work/$1.count" 2>/dev/null || echo 0; }
says() { grep -qE "$2" "$work/$1.agent.log"; }
small_disk() { mkdir -p "$1" && mount -t tmpfs -o "$2,mode=755" fleet-e2e "$1" || fail "no file system of $2 at $1"; mounts+=("$1"); }

for one in portal dns old far beyond inodes readonly link twice six ${2:+silent}; do
  [ "$one" != inodes ] || small_disk "$work/inodes" "size=32m"
  [ "$one" != readonly ] || small_disk "$work/readonly" "size=32m"
  [ "$one" != six ] || [ -n "$six" ] || continue
  at=$devices  # the one server that it knows
  case $one in
    portal | silent) wire "$one"; at=https://localhost:$(cat "$work/$one.port") ;;
    six) wire six; at=https://[::1]:$(cat "$work/six.port") ;;
    dns) at=https://fleet.test:$port ;;
  esac
  new_agent "$one" "$at"
  all+=("$one")
done
for one in "${all[@]}"; do start_agent "$one"; done
expect "everybody has the first release" ctl rollout wait "$(roll_out 1)" --timeout 60s
[ -z "$six" ] || expect "by IPv6 alone, too" content_is six one

# Trouble, everywhere at once; then a release.
library=$(faketime_library)
trouble() { kill_agent "$1"; : >"$work/$1.agent.log"; LD_PRELOAD=$library FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME="@$2" start_agent "$1"; }
[ -z "$library" ] || { trouble old '1970-01-01 00:05:00'; trouble far '2038-01-19 03:14:00'; trouble beyond '2106-02-07 06:28:10'; }
place portal portal; [ -z "$silent" ] || place silent silence
grep -v fleet.test "$work/hosts" >"$work/hosts.new"; cat "$work/hosts.new" >"$work/hosts"
for one in portal dns $silent; do kill_agent "$one"; : >"$work/$one.agent.log"; start_agent "$one"; done
kill_agent link; rm -rf "$work/link/models/m/versions/"*
mount -o "remount,nr_inodes=$(($(stat -f -c %c "$work/inodes") - $(stat -f -c %d "$work/inodes") + 40))" "$work/inodes" || fail "inodes"
kill_agent readonly; mount -o remount,ro "$work/readonly" || fail "read-only"
: >"$work/readonly.agent.log"; start_agent readonly
before_portal=$(count portal) before_silent=$(count silent) began=$(uptime_s)
start_agent link
rollout=$(roll_out 2)

expect "a folder has one agent: the second says so" bash -c "! timeout 10 '$bin/fleet-agent' run --root '$work/twice' >'$work/second.log' 2>&1 && grep -qE 'another|already|runs' '$work/second.log'"
expect "a portal is told by its certificate" until_true 30 says portal 'certificate|self.signed'
expect "a name that leads nowhere is told" until_true 30 says dns 'resolv|not known|fleet.test'
[ -z "$silent" ] || expect "who never speaks is told" until_true 60 says silent 'did not answer before the deadline'
if [ -n "$library" ]; then
  expect "in 1970 it updates: signed time is believed" until_true 40 content_is old two
  for one in far beyond; do expect "a clock that is ahead is named ($one)" until_true 30 says "$one" 'clock_wrong'; expect "and what runs goes on" content_is "$one" one; done
fi
told() { ctl device explain "$1" | grep -qE "$2"; }
expect "no inode left is told as a full disk" until_true 40 told inodes disk_full
expect "a disk that turned read-only is told" until_true 40 told readonly 'read_only|read-only'
expect "a device whose files were taken away has the release again, or the next" until_true 60 bash -c "grep -qE '^(one|two)$' '$work/link/models/m/current/model.bin'"
for one in portal $silent dns inodes readonly; do expect "at $one what runs goes on" content_is "$one" one; done
tried() { echo $(($(count "$1") - $2)); }
seconds=$(($(uptime_s) - began + 1))
expect "the portal was not asked without end: $(tried portal "$before_portal") connections in $seconds s" test "$(tried portal "$before_portal")" -le $((seconds + 5))
[ -z "$silent" ] || expect "nor was who never speaks: $(tried silent "$before_silent")" test "$(tried silent "$before_silent")" -le $((seconds + 5))

# And it is over.
place portal server; [ -z "$silent" ] || place silent server
echo '127.0.0.1 fleet.test' >>"$work/hosts"
mount -o remount,nr_inodes=0 "$work/inodes" 2>/dev/null || mount -o remount,nr_inodes=100000 "$work/inodes"
mount -o remount,rw "$work/readonly"
[ -z "$library" ] || for one in old far beyond; do kill_agent "$one"; start_agent "$one"; done
everybody() { for one in "${all[@]}"; do content_is "$one" two || return 1; done; }
expect "all have the next release, and nobody was asked to do anything" until_true 120 everybody
expect "and the rollout completes" ctl rollout wait "$rollout" --timeout 60s
