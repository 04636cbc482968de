#!/usr/bin/env bash
# What devices measure is kept in a ClickHouse: the same answers, each sample once whoever is killed in between, and while it is away devices keep what does not fit.
# FLEET_TEST_CLICKHOUSE FOLDER PORT: starts another one than Debian's.
. "$(dirname "$0")/lib.sh"
clickhouse=${FLEET_TEST_CLICKHOUSE:-$here/../support/clickhouse}
[ -n "${FLEET_TEST_CLICKHOUSE:-}" ] || command -v clickhouse-server >/dev/null || { echo "there is no clickhouse-server: .ci/setup test"; exit 77; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
ch_port=$(free_port) relay_port=$(free_port)
mkdir "$work/ch" "$work/relay"
chmod 777 "$work/ch"
ask() { curl -s -m 20 -u fleet:s3cret "127.0.0.1:$ch_port/?database=fleet" --data-binary "$1"; }
answers() { [ "$(ask "SELECT 1 FORMAT TabSeparated")" = 1 ]; }
start_clickhouse() {
  $clickhouse "$work/ch" "$ch_port" & ch_pid=$!
  others+=("$ch_pid")
  until_true 60 answers || { tail -n 20 "$work"/ch/{out,errors} 2>/dev/null; fail "ClickHouse does not start"; }
}
stop_clickhouse() { kill -9 "$ch_pid"; wait "$ch_pid" 2>/dev/null; }
start_clickhouse
python3 "$here/relay.py" "$relay_port" "$ch_port" "$work/relay" & others+=($!)

init_server
start_server
for site in lab yard; do new_agent "$site"; done
ctl model create m >/dev/null
for site in lab yard; do ctl device label "$site" "site=$site" >/dev/null; start_agent "$site"; done
printf '%s\nschema: {accuracy: {unit: "1", range: [0, 1]}}\n' "$golden" >"$work/manifest.yaml"
make_release "$work/v1" one; publish 1 "$work/v1" --manifest "$work/manifest.yaml"
ctl rollout wait "$(roll_out 1)" --timeout 60s >/dev/null || fail "the release is not everywhere"
ctl telemetry labels site >/dev/null
# measure DEVICE METRIC|TYPE VALUE...: as an app of the device does.
measure() {
  python3 - "$work/$1" "$2" "${@:3}" <<'PY'
import os, socket, sys
root, (name, kind), values = sys.argv[1], sys.argv[2].split("|"), sys.argv[3:]
release = os.path.basename(os.readlink(root + "/models/m/current"))
app = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for value in values:
    app.sendto(f"{name}:{value}|{kind}|#release:{release}".encode(), root + "/run/statsd.sock")
PY
}
by_site() { ctl telemetry query accuracy --since 24h --step 24h --by site --stat mean -o json | jq -c '[.series[] | {(.labels.site): .points[-1][1]}] | add'; }
is() { [ "$("${@:2}")" = "$1" ]; }
# How often a counter was counted, over all its time.
counted() { ctl telemetry query "$1" --since 24h --step 24h --stat rate -o json | jq '[.series[].points[] | .[1] * 86400 | round] | add // 0'; }
measure lab "accuracy|d" 0.8
before() { is '{"lab":0.8}' by_site; }
expect "before there is a ClickHouse the database keeps what is measured" until_true 30 before

echo s3cret >"$work/password"
kill_server
expect_code "an address with a password in it is refused, and not told" 2 "$bin/fleet-server" run --data "$work/server" --telemetry "clickhouse://fleet:s3cret@127.0.0.1/fleet"
expect "with the option that takes one" grep -q -- --telemetry-password-file "$work/last.err"
expect "and without the password" sh -c "! grep -q s3cret '$work/last.err'"
printf 'telemetry: "clickhouse://fleet@127.0.0.1:%s/fleet"\n' "$relay_port" >>"$work/server/server.yaml"
chmod 600 "$work/server/server.yaml"
server_options=(--telemetry-password-file "$work/password")
start_server
expect "with one, what was kept before is there" until_true 60 before
measure lab "accuracy|d" 0.9 1; measure yard "accuracy|d" 0.5 0.5; measure yard "inferences|c" 30
both() { is '{"lab":0.9,"yard":0.5}' by_site; }
expect "a mean a site, over both times" until_true 60 both
expect "the database keeps nothing of it any more" test "$(sql "$work/server" "SELECT count(*) FROM metric_intervals")" = 0
expect "ClickHouse does, in minutes" test "$(ask "SELECT count() > 0, sum(samples), min(toUInt32(start) % 60 = 0) FROM fleet_intervals FINAL WHERE metric = 'accuracy' FORMAT TabSeparated")" = "$(printf '1\t5\t1')"
synced() { ask "SHOW CREATE TABLE fleet_intervals FORMAT TabSeparated" | grep -q fsync_after_insert || grep -q telemetry.not_synced "$work/server.log"; }
expect "on its disk before it says so, or the log tells that it cannot" synced
expect "of one site alone" test "$(ctl telemetry query accuracy -l site=yard --stat mean --step 24h -o json | jq -c '[.series[].points[-1][1]]')" = '[0.5]'
median() { ctl telemetry query accuracy --stat p50 --step 24h -o json | jq '.series[].points[-1][1] >= 0.79 and .series[].points[-1][1] <= 0.81'; }
expect "quantiles over all" is true median
expect "names, types and units" test "$(ctl telemetry metrics --model m -o jsonl | jq -rs 'map("\(.name) \(.type) \(.unit)") | join(",")')" = "accuracy distribution 1,inferences counter null"
expect "windows for training" test "$(ctl telemetry features --model m --since 24h --step 24h -l site=yard | jq -s 'map(select(.metric == "inferences") | .rate * .step_s | round) | add')" = 30
hostile="it's \\ a -- 'metric"
expect "a name that is none finds nothing, and does nothing" test "$(ctl telemetry query "$hostile" -o json | jq -c .series)" = '[]'

state() { curl -s --cacert "$FLEETCTL_CA" "$FLEETCTL_SERVER/readyz" | jq -r .telemetry; }
figure() { curl -s --cacert "$FLEETCTL_CA" -H "Authorization: Bearer $(cat "$FLEETCTL_TOKEN_FILE")" "$FLEETCTL_SERVER/metrics" | sed -n "s/^fleet_telemetry_sink_$1 //p"; }
expect "/readyz says that it is well" until_true 20 is ok state
expect "and so does doctor" ctl doctor

# Killed between the insert and what follows it: the batch is sent again, and counts once.
touch "$work/relay/hold"
measure yard "inferences|c" 12
expect "ClickHouse has a batch that the server was not told of" until_true 60 test -e "$work/relay/held"
kill_server
rm "$work/relay/hold" "$work/relay/held"
has_42() { is 42 counted inferences; }
start_server
expect "a server that starts anew sends it again" until_true 60 has_42
drained() { [ "$(figure waiting_rows)" = 0 ]; }
expect "the outbox is empty" until_true 60 drained
expect "and each sample counts once" has_42
twice() { ask "SELECT count() FROM fleet_intervals WHERE metric = 'inferences' FORMAT TabSeparated"; }
echo "   rows of the counter that ClickHouse holds: $(twice), FINAL $(ask "SELECT count() FROM fleet_intervals FINAL WHERE metric = 'inferences' FORMAT TabSeparated")"

# Away, with room for little.
for month in 2020-01 2020-02; do ask "INSERT INTO fleet_intervals (metric, start, samples) VALUES ('old', toDateTime('$month-01 00:00:00', 'UTC'), 1)"; done
kill_server
server_options+=(--telemetry-waiting-max 6)
start_server
of_old() { ask "SELECT count() FROM fleet_intervals WHERE metric = 'old' FORMAT TabSeparated"; }
expect "months that are older than what is kept go" until_true 30 is 0 of_old
expect "and no other does" has_42
stop_clickhouse
expect "while it is away /readyz says so, and the server is ready all the same" until_true 60 is behind state
expect_code "doctor, too" 0 "$bin/fleetctl" --no-color doctor
expect "by name" grep -q "telemetry" "$work/last.out"
expect_code "a question is answered with what is wrong" 8 "$bin/fleetctl" --timeout 1s telemetry query accuracy
sent=42
for i in $(seq 12); do measure lab "inferences|c" 1; measure yard "inferences|c" 1; sent=$((sent + 2)); sleep 1.2; done
expect "samples that find no room stay with their devices" until_true 60 is full state
expect "which is counted" test "$(figure held_reports_total)" -gt 0
expect "the outbox keeps within its bound, but for the reports under way" test "$(sql "$work/server" "SELECT count(*) FROM telemetry_outbox")" -le 40
make_release "$work/v2" two; publish 2 "$work/v2" --manifest "$work/manifest.yaml"
rollout=$(roll_out 2)
expect "what a verdict needs passes" ctl rollout wait "$rollout" --timeout 100s
kill_server
start_server
start_clickhouse
all_there() { is "$sent" counted inferences; }
expect "once it is back all of it is there, each sample once" until_true 120 all_there
expect "/readyz says that it is well again" until_true 60 is ok state
expect "the outbox is empty again" until_true 60 drained
expect "nothing was counted twice since" all_there

# By TLS, killed again and again while it sends, and each row once.
kill_server
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=clickhouse" -addext "subjectAltName=IP:127.0.0.1" -keyout "$work/ch.key" -out "$work/ch.pem" 2>/dev/null
tls_port=$(free_port)
python3 "$here/relay.py" "$tls_port" "$ch_port" "$work/relay" "$work/ch.pem" "$work/ch.key" & others+=($!)
sed -i "s|^telemetry:.*|telemetry: \"clickhouse://fleet@127.0.0.1:$tls_port/fleet?secure=true\"|" "$work/server/server.yaml"
server_options=(--telemetry-password-file "$work/password")
start_server
expect "whom nobody vouches for is not told what devices measure" until_true 60 is behind state
kill_server
server_options+=(--telemetry-ca-file "$work/ch.pem")
rows=200000
sql "$work/server" "INSERT INTO telemetry_outbox (series, start, count, sum, min, max, sketch, at)
  WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < $rows)
  SELECT (SELECT min(s.n) FROM metric_series s WHERE s.metric = 'inferences'), $(date +%s)000 / 60000 * 60000 - n % 200 * 60000, 1, 1, 1, 1, '{}', $(date +%s)000 FROM i"
for _ in $(seq 8); do
  "$bin/fleet-server" run --data "$work/server" --api 127.0.0.1:0 --devices 127.0.0.1:0 "${server_options[@]}" >>"$work/server.log" 2>&1 & server_pid=$!
  sleep "0.$((RANDOM % 20 + 15))"
  kill_server
done
echo "   rows that wait after eight kills: $(sql "$work/server" "SELECT count(*) FROM telemetry_outbox")"
start_server
total() { ask "SELECT toUInt64(sum(total)) FROM fleet_intervals FINAL WHERE metric = 'inferences' FORMAT TabSeparated"; }
expect "over TLS, from a server that was killed eight times, each row arrives" until_true 120 is $((sent + rows)) total
expect "the outbox is empty once more" until_true 60 drained
expect "and nothing was counted twice" is $((sent + rows)) total
kill_server
ask "INSERT INTO fleet_schema (version) VALUES (99)"
start_server
expect "tables of a newer program are left alone" until_true 60 grep -q telemetry_newer "$work/server.log"
expect "which /readyz tells" until_true 20 is behind state
expect "no password is in the log" sh -c "! grep -q s3cret '$work/server.log'"
