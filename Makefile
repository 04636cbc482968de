# `make help` lists the targets. Everything that needs installing is installed by `.ci/setup` from Debian's packages.
SHELL := /bin/bash
BUILD ?= build
JOBS  ?= $(shell nproc)
STEP  := .ci/step
CMAKE := cmake -G Ninja -S .
ARCH  ?= $(shell dpkg --print-architecture)

.DEFAULT_GOAL := help
.PHONY: help demo test test-postgres build setup bench installers s3 nodes bench-delta bench-delta-peers sim sim-table outages crash endurance conformance python-tuf chdb model-signing schemathesis runtimes stats-peers fuzz asan tsan tidy fmt e2e package agent agent-static agent-package boards clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

build: ## installs what is missing and builds into build/bin
	@$(STEP) "packages" .ci/setup build
	@$(STEP) "configure" bash -c '$(CMAKE) -B $(BUILD) >$(BUILD).log || { cat $(BUILD).log; exit 1; }; rm -f $(BUILD).log'
	@$(STEP) "build" ninja -C $(BUILD) -j $(JOBS) --quiet $(TARGETS)

demo: TARGETS := fleet-server fleet-agent fleetctl meter-reader bad-network
demo: ## the main job end to end: 40 cameras, a good release, a bad one. SERVE=1 leaves the server running
	@$(STEP) "packages of the demo" .ci/setup build demo
	@$(MAKE) --no-print-directory build TARGETS="$(TARGETS)"
	@$(STEP) "demo" examples/meter-reader/demo $(BUILD)/bin $(if $(SERVE),--serve)

# Tests wait more than they compute: two more at once than there are cores.
test: ## every test
	@$(STEP) "packages of the tests" .ci/setup build test
	@$(MAKE) --no-print-directory build
	@$(STEP) "tests" ctest --test-dir $(BUILD) --output-on-failure -j $$(($(JOBS) + 2)) --timeout 600

e2e: build ## the tests between real processes
	@$(STEP) "e2e" ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS) -L e2e

test-postgres: build ## every test between real processes, with the servers' databases in PostgreSQL
	@$(STEP) "packages of the tests" .ci/setup build test
	@$(STEP) "e2e on PostgreSQL" tests/support/with_postgres ctest --test-dir $(BUILD) --output-on-failure -j $$(($(JOBS) + 2)) --timeout 600 -L e2e

s3: build ## blobs in a real S3: versitygw, by Go (go install github.com/versity/versitygw/cmd/versitygw@latest); on PostgreSQL, too
	@$(STEP) "packages of the tests" .ci/setup build test
	@$(STEP) "versitygw" bash -c 'PATH=$$PATH:$$HOME/go/bin command -v versitygw >/dev/null || go install github.com/versity/versitygw/cmd/versitygw@latest'
	@$(STEP) "blobs in an S3" tests/support/with_s3 bash tests/e2e/s3.sh $(BUILD)/bin
	@$(STEP) "the same on PostgreSQL" tests/support/with_s3 tests/support/with_postgres bash tests/e2e/s3.sh $(BUILD)/bin
	@for name in lifecycle cache delta bundle sets backup_restore server_killed; do $(STEP) "$$name, blobs in an S3" tests/support/with_s3 bash tests/e2e/$$name.sh $(BUILD)/bin || exit 1; done

installers: build ## RAUC, SWUpdate and runc install real images; as root
	@$(STEP) "packages of the tests" .ci/setup build test
	@$(STEP) "installers" bash tests/e2e/images.sh $(BUILD)/bin

nodes: build ## three servers on one PostgreSQL and real agents, while servers, connections and PostgreSQL are killed, stopped and cut; FAULTS=n, DEVICES=n, SEED=n
	@$(STEP) "packages of the tests" .ci/setup build test
	@$(STEP) "nodes" tests/support/with_postgres python3 -B tests/nodes/faults.py $(BUILD)/bin --faults $(or $(FAULTS),200) --devices $(or $(DEVICES),60) $(if $(SEED),--seed $(SEED))

outages: build ## half an hour: a server away for 20 minutes, clocks that step, an app that sleeps; a server that never speaks
	@$(STEP) "packages of the tests" .ci/setup build test
	@$(STEP) "bad places" bash tests/e2e/places.sh $(BUILD)/bin silence
	@$(STEP) "outages" bash tests/e2e/outages.sh $(BUILD)/bin

crash: build ## power cuts after every operation of agent and server, over a model of a disk; real agents on real file systems. SEED=n replays
	@$(STEP) "packages of the tests" .ci/setup build test crash
	@$(STEP) "processes killed" ctest --test-dir $(BUILD) --output-on-failure -L crash
	@$(STEP) "power cuts" $(BUILD)/bin/crash $(if $(SEED),--seed $(SEED))
	@$(STEP) "power cuts of the server" $(BUILD)/bin/crash-server $(if $(SEED),--seed $(SEED))
	@$(STEP) "real agents, ext4" bash -c 'tests/crash/real.sh $(BUILD)/bin 200 ext4 || test $$? -eq 77'
	@$(STEP) "real agents, XFS" bash -c 'tests/crash/real.sh $(BUILD)/bin 100 xfs || test $$? -eq 77'

endurance: build ## 1,000 updates in a row and 24 hours without growth: on a virtual clock in a minute, then the updates again between real processes (UPDATES=n)
	@$(STEP) "virtual" $(BUILD)/bin/steady
	@$(STEP) "real" tests/bench/endurance.sh $(BUILD)/bin

sim: build ## simulated fleets, each as it must be; SEED=n replays one
	@$(STEP) "simulation" $(BUILD)/bin/fleet-sim --check $(if $(SEED),--seed $(SEED))

sim-table: build ## the tables of docs/statistics.md: hours; what was simulated lies in build/sim-table and is not again
	@$(BUILD)/bin/sim-table --folder $(BUILD)/sim-table $(if $(SIZES),--sizes $(SIZES)) $(if $(PRESETS),--presets $(PRESETS)) $(if $(RUNS),--runs $(RUNS))

bench: build ## measures against nginx on this machine, in one run
	@$(STEP) "packages of the benchmarks" .ci/setup bench
	@$(STEP) "bench" tests/bench/run $(BUILD)/bin

bench-delta: ## what a new version takes on the way to a device that has the old one, beside zstd, xdelta3, bsdiff, casync, zchunk. MIB=64 for the table's size
	@$(STEP) "packages of the benchmarks" .ci/setup build bench
	@$(MAKE) --no-print-directory build TARGETS="content-files measured"
	@tests/bench/delta.py $(BUILD)/bin

bench-delta-peers: ## the same beside ZipNN, HDiffPatch and XOR + zstd (from PyPI)
	@$(STEP) "packages of the benchmarks" .ci/setup build bench
	@$(MAKE) --no-print-directory build TARGETS="content-files measured"
	@$(STEP) "ZipNN, HDiffPatch, zstandard" bash -c 'test -f $(BUILD)/delta-peers/complete || { /usr/bin/python3 -m venv --system-site-packages $(BUILD)/delta-peers && $(BUILD)/delta-peers/bin/pip install -q hdiffpatch==2.6.0 zstandard==0.25.0 && $(BUILD)/delta-peers/bin/pip install -q --no-deps zipnn==0.5.4 && touch $(BUILD)/delta-peers/complete; }'
	@tests/bench/delta.py $(BUILD)/bin $(BUILD)/delta-peers/bin/python

conformance: build ## the TUF client against the tuf-conformance suite in TUF_CONFORMANCE=DIR
	@$(STEP) "conformance" tests/conformance/run.sh $(BUILD)/bin/tuf-client "$(TUF_CONFORMANCE)"

python-tuf: build ## python-tuf's client (from PyPI) against our server's /tuf
	@$(STEP) "python-tuf" bash -c 'test -x $(BUILD)/python/bin/python || { python3 -m venv $(BUILD)/python && $(BUILD)/python/bin/pip install -q tuf==7.0.0 "securesystemslib[crypto]==1.4.0"; }'
	@$(STEP) "python-tuf reads /tuf" tests/conformance/python_tuf.sh $(BUILD)/bin $(BUILD)/python/bin/python

chdb: build ## what devices measure in today's ClickHouse (chdb from PyPI, 900 MB): the end-to-end case that runs with Debian's
	@$(STEP) "packages of the tests" .ci/setup build test
	@$(STEP) "chdb" bash -c 'test -f $(BUILD)/chdb/complete || { python3 -m venv $(BUILD)/chdb && $(BUILD)/chdb/bin/pip install -q chdb==4.4.0 && touch $(BUILD)/chdb/complete; }'
	@$(STEP) "today's ClickHouse" env FLEET_TEST_CLICKHOUSE="$(abspath $(BUILD))/chdb/bin/python $(CURDIR)/tests/conformance/chdb_server.py" bash tests/e2e/clickhouse.sh $(BUILD)/bin

model-signing: build ## OpenSSF's model_signing (from PyPI) signs what we publish and verifies what we kept
	@$(STEP) "model_signing" bash -c 'test -x $(BUILD)/model-signing/bin/model_signing || { python3 -m venv $(BUILD)/model-signing && $(BUILD)/model-signing/bin/pip install -q model-signing==1.1.1 pyopenssl==26.4.0; }'
	@$(STEP) "model_signing and fleetctl" tests/conformance/model_signing.sh $(BUILD)/bin $(BUILD)/model-signing/bin/model_signing

runtimes: ## apps with onnxruntime, LiteRT and a Triton server (from PyPI) whose model is switched under load, every inference counted
	@$(STEP) "packages of the runtimes" .ci/setup build runtimes
	@$(MAKE) --no-print-directory build TARGETS="fleet-server fleet-agent fleetctl"
	@$(STEP) "onnxruntime and LiteRT" bash -c 'test -f $(BUILD)/runtimes/complete || { /usr/bin/python3 -m venv $(BUILD)/runtimes && $(BUILD)/runtimes/bin/pip install -q onnxruntime==1.32.0 ai-edge-litert==2.3.0 onnx==1.23.2 tflite==2.18.0 && touch $(BUILD)/runtimes/complete; }'
	@$(STEP) "Triton" bash -c 'test -f $(BUILD)/triton/complete || { /usr/bin/python3 -m venv $(BUILD)/triton && $(BUILD)/triton/bin/pip install -q --no-deps nvidia-pytriton==0.7.0 numpy==1.26.4 && touch $(BUILD)/triton/complete; }'
	@$(STEP) "swapped under load" bash tests/runtimes/swap.sh $(BUILD)/bin $(BUILD)/runtimes $(BUILD)/triton

schemathesis: build ## schemathesis (from PyPI) asks our API everything that its document allows, and what it does not
	@$(STEP) "schemathesis" bash -c 'test -x $(BUILD)/schemathesis/bin/schemathesis || { python3 -m venv $(BUILD)/schemathesis && $(BUILD)/schemathesis/bin/pip install -q schemathesis==4.32.5 openapi-spec-validator==0.9.0; }'
	@$(STEP) "the document is one" tests/conformance/openapi.sh $(BUILD)/bin $(BUILD)/schemathesis/bin/python
	@$(STEP) "and the server keeps to it" tests/conformance/schemathesis.sh $(BUILD)/bin $(BUILD)/schemathesis/bin/schemathesis

stats-peers: ## core/stats beside confseq, gbstats, savvi (from PyPI) and scipy: the same inputs, the same numbers
	@$(MAKE) --no-print-directory build TARGETS=stats-values
	@$(STEP) "confseq, gbstats, savvi" bash -c 'test -f $(BUILD)/stats-peers/complete || { python3 -m venv $(BUILD)/stats-peers && $(BUILD)/stats-peers/bin/pip install -q gbstats==0.8.0 savvi==0.2.0 matplotlib==3.11.2 multiprocess==0.70.19 "setuptools<70" wheel scikit-build==0.19.1 pybind11==3.1.0 && $(BUILD)/stats-peers/bin/pip install -q --no-build-isolation --no-deps confseq==0.0.11 && touch $(BUILD)/stats-peers/complete; }'
	@$(STEP) "ours and theirs" $(BUILD)/stats-peers/bin/python tests/conformance/stats_peers.py $(BUILD)/bin/stats-values

fuzz: ## each fuzz target for a minute (FUZZ_SECONDS)
	@$(STEP) "packages of the fuzzers" .ci/setup build fuzz
	@$(STEP) "build" bash -c 'CC=clang CXX=clang++ $(CMAKE) -B build-fuzz -DFLEET_FUZZ=ON -DFLEET_EXAMPLES=OFF >/dev/null && ninja -C build-fuzz -j $(JOBS) --quiet fuzzers'
	@$(STEP) "fuzz" tests/fuzz/run build-fuzz/bin $(or $(FUZZ_SECONDS),60)

asan: ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(STEP) "packages of the tests" .ci/setup build test
	@$(STEP) "build" bash -c '$(CMAKE) -B build-asan -DFLEET_SANITIZE=address,undefined >/dev/null && ninja -C build-asan -j $(JOBS) --quiet'
	@$(STEP) "asan" ctest --test-dir build-asan --output-on-failure -j $(JOBS) --timeout 1200

tsan: ## the tests where threads meet under ThreadSanitizer
	@$(STEP) "packages of the tests" .ci/setup build test
	@$(STEP) "build" bash -c '$(CMAKE) -B build-tsan -DFLEET_SANITIZE=thread >/dev/null && ninja -C build-tsan -j $(JOBS) --quiet'
	@$(STEP) "tsan" ctest --test-dir build-tsan --output-on-failure -j $(JOBS) --timeout 1200

tidy: build ## the house's own rules, then clang-tidy (which reads no headers that g++ precompiled)
	@$(STEP) "packages of tidy" .ci/setup tidy
	@$(STEP) "house rules" $(BUILD)/bin/tidy
	@$(STEP) "configure" bash -c '$(CMAKE) -B build-tidy -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON >/dev/null && ninja -C build-tidy --quiet fleet_built fleet_migrations fleet_openapi'
	@$(STEP) "clang-tidy" bash -c "git ls-files 'core/*.cpp' 'server/*.cpp' 'agent/*.cpp' 'cli/*.cpp' | xargs -P $(JOBS) -n 4 clang-tidy -p build-tidy --quiet --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-overlength-strings"

fmt: ## formats with clang-format
	@.ci/setup tidy
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format -i

package: build ## a .deb in build/
	@.ci/setup package
	@$(STEP) "package" bash -c 'cd $(BUILD) && cpack -G DEB'

agent: ## the device's program alone. ARCH=amd64, arm64 or armhf; KEY_DEVICES=OFF leaves the TPM out
	@$(STEP) "agent, $(ARCH)" .ci/agent dynamic $(ARCH) $(JOBS) $(if $(KEY_DEVICES),-DFLEET_KEY_DEVICES=$(KEY_DEVICES))

agent-static: ## the same, wholly static: any Linux of the last ten years starts it
	@$(STEP) "agent, wholly static, $(ARCH)" .ci/agent static $(ARCH) $(JOBS)

agent-package: ## either as a .deb in its folder. STATIC=1 for the static one, which foreign architectures have
	@$(STEP) "agent's package, $(ARCH)" env PACKAGE=1 .ci/agent $(if $(STATIC),static,dynamic) $(ARCH) $(JOBS) $(if $(KEY_DEVICES),-DFLEET_KEY_DEVICES=$(KEY_DEVICES))

boards: build ## static agents of ARCHS (amd64 arm64 armhf), their unit tests and whole lives: by qemu, in a root of 2016, on a kernel of 2016
	@$(STEP) "packages of the boards" .ci/setup boards test
	@for arch in $(or $(ARCHS),amd64 arm64 armhf); do $(STEP) "board $$arch" .ci/board $$arch $(JOBS) || exit 1; done

clean: ## removes build folders
	rm -rf build build-asan build-tsan build-fuzz build-tidy build-agent-* build-units-*
