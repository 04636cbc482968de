#!/bin/bash
# What Debian's own agents cost a device that has nothing to do, for `footprint.sh` beside them: swupdate asking a hawkBit for work (its stand-in here says there is
# none), rauc's service on a bus of its own, mender-client without a server in reach. Programs in bytes, memory in KiB of all their processes, after SETTLE seconds.
# They are not alike: rauc asks no server at all, swupdate fetches and installs images, mender does the most. usage: tests/bench/peers.sh   SETTLE=20
#   GREENGRASS=DIR  bin of a build of AWS Greengrass nucleus lite (its docs/BUILD.md), which Debian does not have: its nine daemons, without a cloud in reach (root)
set -euo pipefail
settle=${SETTLE:-20}
work=$(mktemp -d)
started=()
trap 'kill "${started[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
# of_processes PID...: sums of Rss, Pss, Anonymous
of_processes() {
  local files=() pid
  for pid in "$@"; do files+=("/proc/$pid/smaps_rollup"); done
  awk '/^(Rss|Pss|Anonymous):/ {sum[$1] += $2} END {print sum["Rss:"], sum["Pss:"], sum["Anonymous:"]}' "${files[@]}"
}
# row NAME VERSION PID PROGRAM...   of that process and its children
row() {
  local name=$1 pid=$3 programs=("${@:4}")
  name+=" ${2%%[+-]*}"
  sleep "$settle"
  kill -0 "$pid" 2>/dev/null || { echo "  $name: did not stay: $(tail -n 1 "$work/log")"; return 0; }
  local all=("$pid" $(pgrep -P "$pid"))
  read -r rss pss anonymous < <(of_processes "${all[@]}")
  printf '  %-26s %10s %8s %8s %8s\n' "$name" "$(stat -Lc %s "${programs[@]}" | awk '{sum += $1} END {print sum}')" "$rss" "$pss" "$anonymous"
  kill "${all[@]}" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}
printf '  %-26s %10s %8s %8s %8s\n' idle stripped RSS,KiB PSS,KiB anon,KiB
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/key.pem" -out "$work/ca.pem" -subj /CN=bench -days 10 2>/dev/null

if [ -x /usr/bin/swupdate ]; then
  python3 - "$work/port" 2>/dev/null <<'PY' &
import http.server, json, os, sys
class Nothing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = json.dumps({"config": {"polling": {"sleep": "00:00:10"}}, "_links": {}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_PUT = do_POST = do_GET
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nothing)
with open(sys.argv[1] + ".new", "w") as out: out.write(str(server.server_address[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
PY
  started+=($!)
  until [ -s "$work/port" ]; do sleep 0.1; done
  mkdir "$work/tmp"
  TMPDIR=$work/tmp swupdate -k "$work/ca.pem" -u "-t default -u http://127.0.0.1:$(cat "$work/port") -i bench -p 10" >"$work/log" 2>&1 &
  started+=($!)
  row swupdate "$(dpkg-query -W -f='${Version}' swupdate)" $! /usr/bin/swupdate
fi

if [ -x /usr/bin/rauc ]; then
  dbus-daemon --session --nofork "--address=unix:path=$work/bus" >/dev/null 2>&1 &
  started+=($!)
  until [ -S "$work/bus" ]; do sleep 0.1; done
  : >"$work/slot"
  printf '[system]\ncompatible=bench\nbootloader=noop\n[keyring]\npath=%s\n[slot.rootfs.0]\ndevice=%s\ntype=raw\n' "$work/ca.pem" "$work/slot" >"$work/system.conf"
  DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/bus rauc -c "$work/system.conf" "--mount=$work/mounts" --override-boot-slot=rootfs.0 service >"$work/log" 2>&1 &
  started+=($!)
  row rauc "$(dpkg-query -W -f='${Version}' rauc)" $! /usr/bin/rauc
fi

# Unpacked, not installed: its package would start it.
mkdir "$work/mender"
if (cd "$work/mender" && apt-get -q download mender-client) >/dev/null 2>&1 && dpkg-deb -x "$work/mender/"mender-client_*.deb "$work/mender"; then
  printf '{"ServerURL":"https://127.0.0.1:1"}\n' >"$work/mender.conf"
  mkdir "$work/mender-data"
  "$work/mender/usr/bin/mender" --no-syslog -c "$work/mender.conf" -d "$work/mender-data" daemon >"$work/log" 2>&1 &
  started+=($!)
  row mender-client "$(dpkg-deb -f "$work/mender/"mender-client_*.deb Version)" $! "$work/mender/usr/bin/mender"
fi

# They speak over sockets in /run/greengrass, so they get a /run of their own; the first reads the configuration, the others ask it.
if [ -n "${GREENGRASS:-}" ]; then
  daemons=(ggpubsubd iotcored tesd gghealthd ggipcd ggdeploymentd gg-fleet-statusd tes-serverd)
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 10 -subj /CN=bench -keyout "$work/thing.key" -out "$work/thing.pem" 2>/dev/null
  cat >"$work/greengrass.yaml" <<YAML
system: {privateKeyPath: $work/thing.key, certificateFilePath: $work/thing.pem, rootCaPath: $work/thing.pem, rootPath: /run/greengrass/root, thingName: bench}
services:
  aws.greengrass.NucleusLite:
    componentType: NUCLEUS
    configuration: {awsRegion: us-east-1, iotCredEndpoint: 127.0.0.1, iotDataEndpoint: 127.0.0.1, iotRoleAlias: bench, runWithDefault: {posixUser: "nobody:nogroup"}}
YAML
  unshare -m bash -c 'mount -t tmpfs tmpfs /run && mkdir -p /run/greengrass/root && cd /run/greengrass/root || exit
    bin=$1 config=$2
    shift 2
    for daemon in "$@"; do { sleep 4; exec "$bin/$daemon"; } & done
    exec "$bin/ggconfigd" --config-file "$config"' - "$(realpath "$GREENGRASS")" "$work/greengrass.yaml" "${daemons[@]}" >"$work/log" 2>&1 &
  started+=($!)
  row greengrass-lite "$(strings "$GREENGRASS/iotcored" | grep -m 1 -xE '[0-9]+[.][0-9]+[.][0-9]+' || true)" $! "${daemons[@]/#/$GREENGRASS/}" "$GREENGRASS/ggconfigd"
fi
