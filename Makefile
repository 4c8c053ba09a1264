# Two commands for a stranger: `make run` (a sample mesh in a browser) and `make test` (everything that can run here).
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
CARGO ?= cargo
SEEDS ?= 2000
export PORT ?= 8630
export DATA ?= var

.PHONY: help run run-hop run-full check lint test test-engines sim soak bench boot services stop-services needs vendor clean-run

help:            ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

run: vendor      ## Master and one executor on SQLite with the sample mesh: PORT=8630 DATA=var
	@config/run.sh

run-hop: vendor  ## As run, with an Apache Hop (fetched once: 630 MB; Java 17, Maven) and an interface that it runs
	@HOP=1 config/run.sh

run-full: export PORT := $(if $(filter-out 8630,$(PORT)),$(PORT),8640)
run-full: export DATA := $(if $(filter-out var,$(DATA)),$(DATA),var-full)
run-full: vendor ## Two masters and three executors on MariaDB, MongoDB and Redis with the sample: PORT=8640 DATA=var-full
	@config/run-full.sh

check:           ## For every commit: format, clippy, units, tidy, 200 seeds
	$(CARGO) fmt --all --check
	$(CARGO) lint
	$(CARGO) test --locked --workspace --lib --bins
	$(CARGO) test --locked -p master --test tidy
	SEEDS=200 $(CARGO) test --locked -p master --test sim every_world

lint:            ## Format and clippy alone
	$(CARGO) fmt --all --check
	$(CARGO) lint

test: needs vendor ## Everything that can run on one machine: units, tidy, contracts, simulation, real processes, pages, browser
	$(CARGO) fmt --all --check
	$(CARGO) build --locked --workspace --all-targets
	$(CARGO) lint
	.ci/services run $(CARGO) test --locked --workspace --lib --bins --tests
	node --test --test-concurrency=1 master/tests/e2e/

sim:             ## Simulated worlds: SEEDS=2000 [SEED=n TRACE=1] [SABOTAGE=name]
	SEEDS=$(SEEDS) $(CARGO) test --release --locked -p master --test sim every_world -- --nocapture

soak:            ## Real processes killed again and again: ROUNDS=20 of the cluster tests; leaves a result file
	@.ci/soak

bench:           ## Figures beside the physical limit of the same run, with optimisation; leaves a result file
	@.ci/bench

boot:            ## The units of config/systemd under a systemd of its own as pid 1 (root); leaves a result file
	@.ci/boot

services:        ## MariaDB, Redis and MongoDB for the tests, on loopback in .services: source .services/env
	@.ci/services start

stop-services:   ## Stops them
	@.ci/services stop

test-engines:    ## Engines fetched and run: E=hop|kettle|yarn|kube|seatunnel|cdc|pyflink|kafka|mysql
	@[ -f ".ci/engines/$(E)" ] || { echo "E=$(E): there is no such engine yet; there are: $$(ls .ci/engines | xargs)" >&2; exit 1; }
	@.ci/engines/$(E)

needs:
	@.ci/needs

vendor: static/vendor/.stamp

static/vendor/.stamp: package.json package-lock.json
	npm ci --no-audit --no-fund --ignore-scripts
	npm run --silent vendor
	@touch $@
