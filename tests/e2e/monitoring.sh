#!/usr/bin/env bash
# What examples/monitoring asks for is what a server tells: every name of a metric and of its labels in the alerts and on the board stands in the answer of one
# on which a rollout goes on. Where promtool is installed (Debian: prometheus) it reads the answer and the rules, and runs these on made-up days.
. "$(dirname "$0")/lib.sh"
files=$here/../../examples/monitoring
init_server; start_server
ctl model create m >/dev/null
for id in d1 d2 d3; do new_agent "$id"; start_agent "$id"; done
cat >"$work/policy.yaml" <<'YAML'
stages: [{devices: 2, bake: 1h, deadline: 24h}, {percent: 100}]
gates:
  failures: {}
  silent: {after_reports: 3}
  certify: {devices_max: 60%}
strata: []
YAML
make_release "$work/v1" "release 1"; publish 1 "$work/v1"
r=$(roll_out 1)
ctl token create prometheus --role viewer >"$work/viewer.token"
scrape() { curl -sf --cacert "$FLEETCTL_CA" -H "Authorization: Bearer $(cat "$work/viewer.token")" "$FLEETCTL_SERVER/metrics" >"$work/metrics"; }
says() { scrape && grep -qF "$1" "$work/metrics"; }
expect "a viewer reads who is healthy" until_true 60 says "fleet_rollout_devices{rollout=\"$r\",model=\"m\",state=\"healthy\"} 2"
expect "and that the rollout runs" grep -qF "fleet_rollout_info{rollout=\"$r\",model=\"m\",version=\"1\",state=\"running\"} 1" "$work/metrics"
expect "the numbers are those of the rollout" test "$(ctl rollout get "$r" -o json | jq -c '[.counts.healthy, .counts.failed, .counts.silent]')" = '[2,0,0]'
expect "and the deadline is its own" test "$(date -d "$(ctl rollout get "$r" -o json | jq -r .stage.deadline)" +%s)" -eq "$(sed -n 's/^fleet_rollout_stage_deadline_timestamp_seconds{.*} \([0-9]*\).*/\1/p' "$work/metrics")"
# A server looks who is out of reach once it has been there for a quarter of an hour.
sql "$work/server" "INSERT INTO presence (hour, devices, away, returned) VALUES (490000, 3, 1, 0)" || fail "no hour is kept"
expect "who is out of reach is told" until_true 5 says "fleet_presence_offline_devices 1"

# strangers FILE...: what these name of a metric, or of a label in its braces, and no sample has. `up` is Prometheus' own.
strangers() {
  grep -ohE '\bfleet_[a-z0-9_]+\b' "$@" | sort -u | while read -r name; do grep -qE "^$name[{ ]" "$work/metrics" || echo "$name"; done
  grep -ohE '\bfleet_[a-z0-9_]+\{[^}]*\}' "$@" | sort -u | while read -r selector; do
    name=${selector%%\{*}
    grep -oE '[a-z_]+(=~|!~|!=|=)' <<<"$selector" | tr -d '=~!' | sort -u | while read -r label; do
      # An instance and a job are the scrape's.
      [[ $label = instance || $label = job ]] || grep -qE "^$name\{([^}]*,)?$label=\"" "$work/metrics" || echo "$name{$label}"
    done
  done
}
knows() { local found; found=$(strangers "$@"); [ -z "$found" ] || { echo "no sample of: $found" >&2; return 1; }; }
expect "the alerts name nothing that is not told" knows "$files/alerts.yml"
expect "nor does the board" knows "$files/grafana.json"
board() { jq -e "$1" "$files/grafana.json" >/dev/null; }
expect "each panel of the board but a heading asks for something" board '[.panels[] | select(.type != "row") | .targets | length > 0] | length > 15 and all'
expect "no two panels have one number" board '[.panels[].id] | length == (unique | length)'
printf 'expr: fleet_devices_lost > 1 and fleet_devices{town="x", state=~"active"} > 1\n' >"$work/other.yml"
expect "a name that nobody tells would be found, and a label" test "$(strangers "$work/other.yml" | xargs)" = "fleet_devices_lost fleet_devices{town}"
rules=$(grep -c -- '- alert:' "$files/alerts.yml")
for part in 'for:' 'labels: {severity: \(warning\|critical\)}' 'summary:' 'description:'; do
  expect "each alert has its $part" test "$(grep -c "^ *$part" "$files/alerts.yml")" -eq "$rules"
done

if ! command -v promtool >/dev/null; then
  echo "skipped: promtool is not installed; the rules, their tests and the form of /metrics were not read by it"
  exit 0
fi
expect "promtool takes the rules" promtool check rules "$files/alerts.yml"
jq '{groups: [{name: "board", rules: [[.panels[].targets[]?.expr] | to_entries[] | {record: "board:\(.key)", expr: .value}]}]}' "$files/grafana.json" >"$work/board.yml"
expect "and what the board asks" promtool check rules "$work/board.yml"
expect "and the scrape" promtool check config --syntax-only "$files/prometheus.yml"
promtool check metrics <"$work/metrics" >"$work/lint" 2>&1 || { cat "$work/lint"; fail "promtool finds something in /metrics"; }
expect "and finds nothing in /metrics" test ! -s "$work/lint"
cp "$files/alerts.yml" "$here/monitoring_rules.yml" "$work/"
expect "the rules fire where they should, and not where they should not" bash -c "cd '$work' && promtool test rules monitoring_rules.yml"
fired=$(grep -oE 'alertname="[A-Za-z]+"' "$here/monitoring_rules.yml" | sort -u | wc -l)
expect "each of them was tried" test "$fired" -eq "$rules"
