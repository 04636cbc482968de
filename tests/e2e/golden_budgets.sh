#!/usr/bin/env bash
# Golden tests with tolerances by column and budgets for memory and latency: what keeps to them is installed, what does not is refused with what was measured.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
new_agent d1; start_agent d1

# make VERSION SCORE MORE: a release whose test writes SCORE and does MORE
make() {
  make_release "$work/v$1" "v$1"
  printf 'id,score\n1,0.50\n' >"$work/v$1/expect.txt"
  printf '#!/bin/sh\nprintf "id,score\\n1,%s\\n" >"$FLEET_OUTPUT"\n%s\n' "$2" "$3" >"$work/v$1/lib/check.sh"
}
budgets() { printf 'golden: {command: [lib/check.sh], expect: expect.txt, timeout: 20s, tolerance: 1e-6, tolerances: {score: 0.05}, %s}\n' "$1" >"$work/manifest.yaml"; }
error_is() { ctl rollout devices "$1" -o json | jq -e --arg code "$2" --arg text "$3" '.items[0] | .state == "failed" and .error.code == $code and (.error.text | contains($text))' >/dev/null; }
refused() { publish "$1" "$work/v$1" --manifest "$work/manifest.yaml"; r=$(roll_out "$1"); expect "$4" until_true 20 error_is "$r" "$2" "$3"; ctl rollout abort "$r" --yes --reason test >/dev/null; }

budgets 'memory_max: 64MiB, latency_max: 5s'
make 1 0.54 ''
publish 1 "$work/v1" --manifest "$work/manifest.yaml"
expect "what is within its tolerances and budgets is installed" ctl rollout wait "$(roll_out 1)" --timeout 30s

make 2 0.56 ''
refused 2 golden_mismatch "line 2, cell 2: expected 0.50, got 0.56 (tolerance 0.05)" "a score beyond its column's tolerance is refused"
make 3 0.5 'dd if=/dev/zero of=/dev/null bs=96M count=1 2>/dev/null'
refused 3 golden_memory "at most 64.0 MiB are allowed" "more memory than the budget is refused"
budgets 'latency_max: 5ms'
make 4 0.5 'echo 1 2 3 9.5 >"$FLEET_LATENCIES"'
refused 4 golden_latency "took 9.5 ms (the 95th percentile of 4 inferences, as the program says), at most 5 ms" "inferences slower than the budget are refused, by the program's own times"
make 5 0.5 'sleep 0.1'
refused 5 golden_latency "for 2 lines, start and loading included" "or by the run's, where it says none"
expect "what runs was not touched" content_is d1 v1

sed -i s/score/confidence/ "$work/manifest.yaml"
expect_code "a tolerance of a column that is not there is refused before anything is sent" 1 ctl release publish --model m --version 6 --variant "cam-a=$work/v5" --manifest "$work/manifest.yaml"
expect "and those there are are named" grep -q "no column 'confidence': the first line has 2 (id, score)" "$work/last.err"
