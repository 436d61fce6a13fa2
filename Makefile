# `make` or `make help` lists the targets. LAB chooses another lab than the demo's, HOST its host.
.DEFAULT_GOAL := help
.PHONY: bench-dataplane bench-deploy bench-flood bench-held bench-scale bench-stall help setup demo demo-down test test-long test-unit lint image lab-up lab-down lab-shell lock clean test-rust

LAB ?= demo
HOST ?= berlin
PYTHON := .venv/bin/python
BIN := .venv/bin
CARGO := $(PYTHON) -m tools.fastpath.cargo
UNSTABLE := $(PYTHON) -m tools.fastpath.unstable
VECTORS = $(shell $(PYTHON) -c "import cryptography_vectors as v, pathlib; print(pathlib.Path(v.__file__).parent)")
# An ordinary user's PATH lacks the folders of Debian's tools for administration.
export PATH := $(PATH):/usr/sbin:/sbin
# Programs that build file systems or network namespaces run as root, with this user's caches and PATH.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo env HOME="$$HOME" XDG_CACHE_HOME="$$XDG_CACHE_HOME" PATH="$$PATH" PYTHONDONTWRITEBYTECODE=1 \
    $(if $(CI),CI="$(CI)") $(if $(WGNODE_SAMPLE),WGNODE_SAMPLE="$(WGNODE_SAMPLE)"))
LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --python-version 3.11 $(if $(UPGRADE),--upgrade)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-15s %s\n", $$1, $$2 }'

setup: ## what is missing: Debian packages, virtual environment, Pulumi engine
	@tools/setup

demo: setup image ## two sites on this machine, deployed by three real `pulumi up`s
	@$(AS_ROOT) $(PYTHON) -m lab.demo up

demo-down: ## remove all that the demo made
	@$(AS_ROOT) $(PYTHON) -m lab.demo down

test: setup-tests lint test-rust image ## all tests, of exhaustive ones a sample (WGNODE_SAMPLE=SEED); as root or with sudo
	@$(AS_ROOT) $(PYTHON) -m pytest -n 2 --dist loadscope $(PYTEST)

test-long: setup-tests languages sdk image ## what `make test` draws a sample of, with nothing left out; takes hours
	@$(AS_ROOT) env WGNODE_SAMPLE=all $(PYTHON) -m pytest -n 2 --dist loadscope -m "sampled or in_turn" $(PYTEST)

test-unit: setup ## the tests that need no root
	@$(PYTHON) -m pytest -n 2 -m "not lab" $(PYTEST)

test-rust: setup ## the compiled data plane's own tests, where a Cargo is new enough
	@WGNODE_VECTORS=$(wildcard $(abspath ../shared/vectors)) WGNODE_CRYPTOGRAPHY_VECTORS=$(VECTORS) \
		$(CARGO) test --quiet --locked --no-default-features

.PHONY: fuzz-crypto bench-crypto test-asan test-loom test-miri test-tsan test-valgrind fuzz-rust
fuzz-crypto: setup ## ten million packets through our own cryptography and through ring (PACKETS=, SEED=)
	@$(CARGO) run --quiet --release --locked --no-default-features --example fuzz_crypto -- \
		--packets $(or $(PACKETS),10000000) --seed $(or $(SEED),1)

bench-crypto: setup ## ring, our own cryptography, and libipsec-mb where libipsec-mb-dev is installed
	@mkdir -p build
	@cc -O2 -shared -fPIC -o build/ipsec_mb_shim.so fastpath/examples/crypto_bench/ipsec_mb_shim.c -lIPSec_MB 2>/dev/null || rm -f build/ipsec_mb_shim.so
	@$(CARGO) run --quiet --release --locked --no-default-features --example crypto_bench -- --rounds $(or $(ROUNDS),800) \
		$(if $(wildcard build/ipsec_mb_shim.so),../build/ipsec_mb_shim.so)

test-asan: setup ## the compiled data plane's tests under AddressSanitizer; needs rustup's Rust
	@RUSTFLAGS=-Zsanitizer=address $(UNSTABLE) test --quiet --locked --no-default-features --lib \
		--target x86_64-unknown-linux-gnu

test-loom: setup ## what its threads share, in every order of their steps, by loom
	@RUSTFLAGS="--cfg loom" $(CARGO) test --quiet --locked --no-default-features --lib --target-dir target/loom -- interleavings

test-miri: setup ## its socket addresses, control messages and threads' order under Miri; needs a nightly Rust
	@MIRIFLAGS=-Zmiri-disable-isolation PROPTEST_CASES=2 $(UNSTABLE) miri test --quiet --locked --no-default-features --lib \
		--target-dir target/miri -- io:: runner:: sequence::

# The standard library is built too, since its locks would else order nothing that the sanitizer sees.
test-tsan: setup ## the compiled data plane's tests under ThreadSanitizer; needs a nightly Rust with rust-src
	@RUSTFLAGS=-Zsanitizer=thread PROPTEST_CASES=8 $(UNSTABLE) test -Zbuild-std --quiet --locked --no-default-features --lib \
		--target x86_64-unknown-linux-gnu --target-dir target/tsan

# The two left out are long even without memcheck. The backtrace of a panic that is expected takes longer than the test waits.
test-valgrind: setup ## the compiled data plane's tests under memcheck, which sees uninitialised memory; needs valgrind
	@command -v valgrind >/dev/null || { echo "valgrind is not installed; apt-get install valgrind" >&2; exit 1; }
	@CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind --quiet --error-exitcode=99" PROPTEST_CASES=8 RUST_BACKTRACE=0 \
		$(CARGO) test --quiet --locked --no-default-features --lib -- --test-threads=1 \
		--skip a_million --skip counters_are_reserved

fuzz-rust: setup ## fuzz receiving, splitting, joining and header parsing under AddressSanitizer (SECONDS=60 each); needs cargo-fuzz
	@for target in receive split coalesce vnet; do \
		$(UNSTABLE) fuzz run $$target -- -max_total_time=$(or $(SECONDS),60) || exit; done

# The package's range in pyproject.toml, from its lower end to the newest that the registry has.
OLDEST = $(shell sed -n 's/^ *"pulumi>=\([0-9.]*\),.*/\1.0/p' pyproject.toml)
.PHONY: test-pulumi
test-pulumi: setup ## the Pulumi package with the oldest and the newest SDK of its range
	@for version in "==$(OLDEST)" "<4"; do \
		rm -rf build/pulumi-sdk && $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps \
			--target build/pulumi-sdk "pulumi$$version" && ls build/pulumi-sdk | grep dist-info && \
		PYTHONPATH=build/pulumi-sdk $(PYTHON) -m pytest -q -n 2 tests/unit/infra tests/unit/pulumi_wgnode/provider \
			tests/unit/pulumi_wgnode/test_components.py tests/unit/pulumi_wgnode/test_compiled.py || exit; done

.PHONY: dist
dist: setup ## wheels and source for others, into dist/
	@$(PYTHON) -m tools.dist dist

.PHONY: languages
languages: setup # language hosts for the examples that are not in Python
	@$(PYTHON) -m tools.languages >/dev/null
	@$(PYTHON) -c "import os; from tools import node; node.environment(os.environ)"

.PHONY: sdk
sdk: setup ## SDKs for Python, TypeScript and Go, into build/sdk/
	@$(PYTHON) -m tools.sdk

.PHONY: docs
docs: setup ## reference, manual and completion anew; docs/ as a site in build/docs/, links checked
	@$(PYTHON) -m tools.generated
	@$(PYTHON) -m tools.site

.PHONY: setup-tests
setup-tests:
	@tools/setup tests

bench-deploy: setup image ## how long deploying takes, and what dominates it (ROUNDS=5, JSON=file)
	@$(AS_ROOT) $(PYTHON) -m tests.bench.deploy --rounds $(or $(ROUNDS),5) $(if $(JSON),--json $(JSON))

bench-flood: setup ## what a flood of 5,000 initiations a second costs a session (ROUNDS=3, JSON=file)
	@$(AS_ROOT) $(PYTHON) -m tests.bench.flood --rounds $(or $(ROUNDS),3) $(if $(JSON),--json $(JSON))

.PHONY: bench-boot
bench-boot: setup image ## from power-on to the first handshake, beside a stock Debian guest (ROUNDS=5, JSON=file)
	@$(AS_ROOT) $(PYTHON) -m tests.bench.boot --rounds $(or $(ROUNDS),5) $(if $(JSON),--json $(JSON))

.PHONY: siege soak
siege: setup image ## a gateway at its least memory under more initiations and flows than it takes (MINUTES=10, JSON=file)
	@$(AS_ROOT) $(PYTHON) -m tests.bench.siege --minutes $(or $(MINUTES),10) $(if $(JSON),--json $(JSON))

soak: setup image ## the same for 24 hours (MINUTES=1440, JSON=file)
	@$(AS_ROOT) $(PYTHON) -m tests.bench.siege --minutes $(or $(MINUTES),1440) $(if $(JSON),--json $(JSON))

.PHONY: mitigations
mitigations: setup image ## what protects a gateway, beside a stock Debian guest: a table
	@$(AS_ROOT) $(PYTHON) -m tests.mitigations

.PHONY: bench-check
bench-check: setup ## how long `wgnode check` takes for many sites (SITES=1000)
	@$(PYTHON) -m tests.bench.check --sites $(or $(SITES),1000)

.PHONY: bench-mesh
bench-mesh: setup ## how long many sites take under the real engine, and how that grows (SITES=2,10,100 ROUNDS=3 DEPLOYED=4)
	@$(PYTHON) -m tests.bench.mesh --sites $(or $(SITES),2,10,100) --rounds $(or $(ROUNDS),3) --deployed $(or $(DEPLOYED),4) \
		$(if $(JSON),--json $(JSON))

.PHONY: bench-users
bench-users: setup ## how long one device more takes at a site that has many (DEVICES=10,10000 ROUNDS=3)
	@$(PYTHON) -m tests.bench.users --devices $(or $(DEVICES),10,10000) --rounds $(or $(ROUNDS),3)

.PHONY: bench-handshakes
bench-handshakes: setup ## memory of a node with many devices, and how many connect a second (DEVICES=10,500,10000)
	@$(AS_ROOT) $(PYTHON) -m tests.bench.handshakes --devices $(or $(DEVICES),10,500,10000)

.PHONY: bench-host-path
bench-host-path: setup ## what a gateway's datagrams cost its host's network, in trains and one by one (ROUNDS=7)
	@$(AS_ROOT) $(PYTHON) -m tests.bench.host_path --rounds $(or $(ROUNDS),7)

.PHONY: bench-path
bench-path: setup ## what a path with a smaller MTU costs a TCP flow (ROUNDS=5, JSON=file)
	@$(AS_ROOT) $(PYTHON) -m tests.bench.path --rounds $(or $(ROUNDS),5) $(if $(JSON),--json $(JSON))

.PHONY: bench-policy
bench-policy: setup ## what an access policy costs the compiled plane, in processor time beside none (ROUNDS=15)
	@$(CARGO) run --quiet --release --locked --no-default-features --example engine_bench -- policy $(or $(ROUNDS),15)
.PHONY: bench-scaling
bench-scaling: setup ## what two threads move through the compiled plane in memory beside one, and beside two engines (THREADS=2, ROUNDS=21)
	@$(CARGO) run --quiet --release --locked --no-default-features --example scaling_bench -- \
		--threads $(or $(THREADS),2) --rounds $(or $(ROUNDS),21)

.PHONY: bench-pathmtu
bench-pathmtu: setup ## what finding path MTUs does, beside what people do without (ROUNDS=5, MINUTES=10, ARGUMENTS=)
	@mkdir -p build/bench
	@$(AS_ROOT) $(PYTHON) -m tests.bench.pathmtu --rounds $(or $(ROUNDS),5) --minutes $(or $(MINUTES),10) \
	    --svg build/bench/pathmtu.svg --json build/bench/pathmtu.json $(ARGUMENTS)

# Built, and the folder made, by whoever calls: root's files in a user's caches would be in that user's way.
bench-dataplane: setup ## the data plane beside other implementations (ROUNDS=, SECONDS=, IMPLEMENTATIONS=, TESTS=)
	@mkdir -p build/bench
	@$(PYTHON) -m tests.bench.dataplane --build-only $(if $(IMPLEMENTATIONS),--implementations $(IMPLEMENTATIONS)) \
	    $(if $(TESTS),--tests $(TESTS)) $(ARGUMENTS)
	@$(AS_ROOT) $(PYTHON) -m tests.bench.dataplane $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) \
	    $(if $(IMPLEMENTATIONS),--implementations $(IMPLEMENTATIONS)) $(if $(TESTS),--tests $(TESTS)) $(ARGUMENTS)

bench-stall: setup ## how long packets wait for a node that has other things to do (ROUNDS=5, SECONDS=60, ARGUMENTS=)
	@mkdir -p build/bench
	@$(AS_ROOT) $(PYTHON) -m tests.bench.stall --rounds $(or $(ROUNDS),5) --seconds $(or $(SECONDS),60) $(ARGUMENTS)

bench-held: setup ## how long a node's loop is held by requests and reports about all of its peers (ARGUMENTS=)
	@$(PYTHON) -m tests.bench.stall.held $(ARGUMENTS)

bench-scale: setup ## memory and lookups of a node with 10,000 peers and 100,000 routes
	@mkdir -p build/bench
	@$(AS_ROOT) $(PYTHON) -m tests.bench.dataplane.scale $(ARGUMENTS)

lint: setup ## ruff, mypy --strict, import-linter; rustfmt and clippy where a Cargo is new enough
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(CARGO) fmt --check
	@$(CARGO) clippy --quiet --locked --all-targets -- -D warnings

image: setup ## the appliance image, when out of date; without the pinned compiled data plane, under another name
	@$(BIN)/wgnode image build --best

lab-up: setup ## start the lab's hosts, without any deployment
	@$(AS_ROOT) $(PYTHON) -m lab up --name $(LAB)

lab-down: ## stop the lab
	@$(AS_ROOT) $(PYTHON) -m lab down --name $(LAB)

lab-shell: ## a shell on a host of the lab (HOST=berlin)
	@$(AS_ROOT) $(PYTHON) -m lab shell $(HOST) --name $(LAB)

lock: setup ## renew the locks of Python packages after a change; UPGRADE=1 takes newer versions
	$(LOCK) --all-extras pyproject.toml -o requirements.lock
	$(LOCK) tools/golang/requirements.in -o tools/golang/requirements.lock
	$(LOCK) tools/node/requirements.in -o tools/node/requirements.lock
	$(LOCK) tools/docs/requirements.in -o tools/docs/requirements.lock
	$(LOCK) tools/moto/requirements.in -o tools/moto/requirements.lock
	$(LOCK) --no-deps tools/cyclonedx/requirements.in -o tools/cyclonedx/requirements.lock
	$(LOCK) -c requirements.lock tools/mutate/requirements.in -o tools/mutate/requirements.lock

clean: ## remove what was built in this clone; caches shared with other clones stay
	rm -rf build dist fastpath/target mutants .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

.PHONY: coverage fuzz mutate
coverage: setup ## branch coverage of wgnode/protocol, printed
	@$(PYTHON) -m pytest -q -n 2 tests/unit/protocol tests/conformance tests/fuzz --cov=wgnode.protocol --cov-branch \
		--cov-report=term-missing:skip-covered --cov-fail-under=98 $(PYTEST)

# How many times more examples than in a run of the tests: 100 takes about a quarter of an hour.
FUZZ ?= 100
fuzz: setup ## fuzz parsers and conversations for longer (FUZZ=100 times the tests' share)
	@FUZZ=$(FUZZ) $(PYTHON) -m pytest -q -n 2 tests/fuzz --timeout=0 $(PYTEST)

# Processes that try mutants at once; 1 leaves the machine to others.
CHILDREN ?= 2
mutate: setup ## mutation testing of replay, timers, allowed_ips, cookie; survivors: docs/mutants.md
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade --target build/mutate --require-hashes \
		-r tools/mutate/requirements.lock
	@rm -rf mutants
	@PYTHONPATH=build/mutate $(PYTHON) -m mutmut run --max-children $(CHILDREN)
	@PYTHONPATH=build/mutate $(PYTHON) -m mutmut results
