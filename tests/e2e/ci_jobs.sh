#!/usr/bin/env bash
# The ordinary bad day of a pipeline: jobs of one token that send the same file at once, one that dies in the middle and is run again, a server that is
# restarted under an upload, the same version from another build, thousands of small files.
. "$(dirname "$0")/lib.sh"
init_server; start_server
ctl model create m >/dev/null
publish_as() { ctl release publish --model m --version "$1" --variant "cam-a=$2" -o name >"$work/job-$1.out" 2>&1; }

# Two jobs, one file.
head -c 24000000 /dev/urandom >"$work/big.bin"
jobs=()
for job in 1 2 3; do publish_as "j$job" "$work/big.bin" & jobs+=($!); done
for job in "${jobs[@]}"; do wait "$job" || fail "a job of three that send the same file ends with $?: $(cat "$work"/job-j*.out)"; done
echo "ok: three jobs of one token send the same file, and all end well"

# A runner that dies in the middle, and the job's retry. What is looked for is there for a moment.
at_once() { local end=$(($(uptime_s) + $1)); shift; until "$@"; do [ "$(uptime_s)" -lt "$end" ] || return 1; done; }
head -c 240000000 /dev/urandom >"$work/bigger.bin"
"$bin/fleetctl" release publish --model m --version dies --variant "cam-a=$work/bigger.bin" >/dev/null 2>&1 & job=$!
arrived() { find "$work/server/uploads" -type f -size +1M | grep -q .; }
at_once 30 arrived || fail "nothing arrives"
kill -9 "$job"; wait "$job" 2>/dev/null
expect "the retry goes on where the dead job stopped" "$bin/fleetctl" release publish --model m --version dies --variant "cam-a=$work/bigger.bin" -o name 2>"$work/retry.err"
expect "and says so" grep -q "resumed at" "$work/retry.err"

# The server is killed under an upload and comes back.
head -c 240000000 /dev/urandom >"$work/third.bin"
publish_as restarted "$work/third.bin" & job=$!
at_once 30 arrived || fail "nothing arrives"
kill_server; start_server
wait "$job" || fail "a restart of the server ends a job: $(cat "$work/job-restarted.out")"
echo "ok: a restart of the server ends no job"

# Another build under the same version; the same again.
echo one >"$work/small.bin"; publish_as same "$work/small.bin" || fail "publishing"
expect "the same again is fine" publish_as same "$work/small.bin"
echo two >"$work/small.bin"
expect_code "the same version from another build is a conflict" 6 "$bin/fleetctl" release publish --model m --version same --variant "cam-a=$work/small.bin"

# Small files by the thousand, each with bytes of its own.
mkdir -p "$work/many"
(cd "$work/many" && seq -w 3000 | split -l 1 -a 5 -d - shard-)
start=$(uptime_s)
publish_as many "$work/many" || fail "3,000 small files: $(tail -n 2 "$work/job-many.out")"
echo "ok: 3,000 small files are published ($(($(uptime_s) - start)) s)"
new_agent d1; start_agent d1
roll_out many >/dev/null
whole() { [ "$(cat "$work"/d1/models/m/current/shard-* 2>/dev/null | sha256sum)" = "$(cat "$work"/many/shard-* | sha256sum)" ]; }
expect "and arrive" until_true 90 whole
