# What every benchmark of a real server starts with. usage: . "$(dirname "$0")/lib.sh" BIN_DIR
bin=$(realpath "${1:-build/bin}")
for program in fleet-server fleet-load fleetctl; do
  [ -x "$bin/$program" ] || { echo "bench: $bin/$program is not built (make build)" >&2; exit 1; }
done
work=$(mktemp -d)
started=()
cleanup() {
  # Those that still run: the number of one that has ended may be another program's by now.
  for pid in $(jobs -pr); do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
mkfifo "$work/never"
nap() { read -rt "$1" <>"$work/never" || true; }
on_server=() on_load=()
if [ "$(nproc)" -gt 1 ]; then on_server=(taskset -c 0) on_load=(taskset -c 1); fi
ulimit -n "$(ulimit -Hn)"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 300 -subj /CN=bench-0 -addext "subjectAltName=IP:127.0.0.1" -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
# Devices of the load, each with a key of its own: the first lines of the registry.
"$bin/fleet-load" --make-identities "${IDENTITIES:-64}" --identities "$work/identities.pem" >"$work/keys"
# What fleet-server init made, and `count` devices, of which the first have the keys of the load; most lines of a fleet table look like these.
seed() {
  "$bin/fleet-server" init --data "$1" --host 127.0.0.1 >/dev/null
  python3 - "$1/fleet.db" "$2" "$work/keys" <<'PY'
import sqlite3, sys, time
path, count = sys.argv[1], int(sys.argv[2])
keys = [bytes.fromhex(line) for line in open(sys.argv[3])]
db = sqlite3.connect(path)
db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000;")
now = int(time.time() * 1000)
all_of = "WITH RECURSIVE k (n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM k WHERE n + 1 < ?1) "
db.execute(all_of + "INSERT INTO devices (n, id, hardware, state, labels, key_sha256, not_after, created_at) SELECT n + 1, 'bench-' || n, CASE WHEN n % 3 THEN 'cam-a' ELSE 'cam-b' END, "
           "'active', '{\"site\":\"' || (n % 100) || '\",\"ring\":\"' || (n % 10) || '\"}', randomblob(32), ?2, 0 FROM k", (count, now + 300 * 86_400_000))
db.executemany("UPDATE devices SET key_sha256 = ? WHERE n = ?", ((key, n + 1) for n, key in enumerate(keys)))
db.execute(all_of + "INSERT INTO contacts (device, seen_at, poll_every_s, report_every_s) SELECT n + 1, ?2, 900, 60 FROM k WHERE n >= ?3", (count, now, len(keys)))
db.commit()
db.executescript("PRAGMA journal_mode = WAL;")
PY
}

server_pid=
server_words=()  # more of them for `fleet-server run`
start_server() {
  "${on_server[@]}" "$bin/fleet-server" run --data "$1" --api 127.0.0.1:0 --devices 127.0.0.1:0 "${server_words[@]}" >/dev/null 2>"$work/server.log" &
  server_pid=$!
  started+=("$server_pid")
  for _ in $(seq 200); do
    [ -s "$1/endpoints.json" ] && break
    kill -0 "$server_pid" || { cat "$work/server.log" >&2; exit 1; }
    nap 0.05
  done
  url=$(sed 's/.*"devices":"\([^"]*\)".*/\1/' "$1/endpoints.json")/device/v1/poll
}
stop_server() { kill "$server_pid"; wait "$server_pid" || true; }
cpu_ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }
# Microseconds of CPU that the threads of process $1 have used: finer than the ticks of stat; of threads that live on.
cpu_us() { cat "/proc/$1/task/"*/schedstat 2>/dev/null | awk '{sum += $1} END {printf "%d", sum / 1000}'; }
# Share of a core that process $1 uses over $2 seconds, in percent.
share_of_core() {
  local before
  before=$(cpu_us "$1")
  nap "$2"
  awk -v us=$(( $(cpu_us "$1") - before )) -v s="$2" 'BEGIN {printf "%.2f", us / s / 10000}'
}
median() { sort -n | awk '{t[NR] = $1} END {print t[int((NR + 1) / 2)]}'; }

# The API of the server that runs on data directory $1, for fleetctl and for `ask`.
use_api() {
  export FLEETCTL_SERVER FLEETCTL_CA=$1/ca.pem FLEETCTL_TOKEN_FILE=$1/admin.token
  FLEETCTL_SERVER=$(sed 's/.*"api":"\([^"]*\)".*/\1/' "$1/endpoints.json")
  printf 'Authorization: Bearer %s\n' "$(cat "$FLEETCTL_TOKEN_FILE")" >"$work/auth"
}
ctl() { "$bin/fleetctl" -q "$@"; }
# A request on a connection that is open already: its milliseconds; its answer in $work/answer.json. ask METHOD PATH [BODY]
ask() {
  local body=()
  [ $# -lt 3 ] || body=(-H 'Content-Type: application/json' -d "$3")
  curl -s --cacert "$FLEETCTL_CA" -o /dev/null "$FLEETCTL_SERVER/healthz" --next -s --fail-with-body --cacert "$FLEETCTL_CA" -H "@$work/auth" -H 'If-Match: *' "${body[@]}" -X "$1" \
    -o "$work/answer.json" -w '%{time_total}' "$FLEETCTL_SERVER/$2" | awk '{printf "%.1f", $1 * 1000}' || { echo "bench: $1 $2: $(cat "$work/answer.json")" >&2; return 1; }
}
# Milliseconds of the server's CPU that GET $2 takes, over $1 of them on one connection.
cpu_of_get() {
  local urls=() before k
  for k in $(seq "$1"); do urls+=("$FLEETCTL_SERVER/$2"); done
  before=$(cpu_us "$server_pid")
  curl -s --fail-with-body --cacert "$FLEETCTL_CA" -H "@$work/auth" "${urls[@]}" >/dev/null
  awk -v us=$(( $(cpu_us "$server_pid") - before )) -v n="$1" 'BEGIN {printf "%.2f", us / 1000 / n}'
}
memory_kb() { awk '/^VmRSS/ {print $2}' "/proc/$1/status"; }
