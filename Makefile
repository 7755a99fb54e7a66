# What there is to do. `make` alone prints this list.
.DEFAULT_GOAL := help
.PHONY: help run test test-otlp test-browser test-clients test-openapi pictures relied-on test-topologies lint fmt build dist proof loadtest bench fuzz chaos chaos-judge chaos-mutants mutants mutation reliability deny advisories clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Start the service with something to sell, and its own private Redis
	@scripts/bootstrap
	cargo run --locked -- serve --demo

test: ## Run all tests, on private Redis servers that they start themselves
	@scripts/bootstrap --tests
	cargo test --locked --lib --test it

test-browser: ## Drive the pages in a real Chromium; its pictures are in target/screenshots
	@scripts/bootstrap --browser
	cargo build --locked
	node --test --test-concurrency=1 tests/browser/*.test.mjs

# Clippy is asked while the program is built, as cargo asks it. A check of its own would build all libraries a fourth time.
test-otlp: ## Test and lint what the feature `otlp` adds: traces for a collector
	@scripts/bootstrap --tests
	RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=--deny=warnings__CLIPPY_HACKERY__ cargo test --locked --features otlp --test otlp

test-openapi: ## Let schemathesis look for answers that web/openapi.json does not have (10 minutes; SECONDS=60, SEED=7 repeats a run)
	@scripts/bootstrap --openapi
	cargo build --locked
	SEED=$(SEED) scripts/with-demo scripts/schemathesis $(or $(SECONDS),600)

test-clients: ## Make a TypeScript and a Python client of web/openapi.json, and buy a unit with each
	@scripts/bootstrap --clients
	cargo build --locked
	scripts/with-demo tests/clients/run

relied-on: ## Keep what clients may rely on in web/openapi.json; refuses what was taken away, unless REMOVED=yes
	@scripts/bootstrap --tests
	REMOVED=$(REMOVED) cargo test --locked --test it -- --ignored --exact openapi::relied_on::what_clients_rely_on_is_written_down

pictures: ## Take the pictures of README anew, in a real Chromium during a rush of a minute; needs pngquant
	@scripts/bootstrap --browser
	cargo build --locked
	node --test tests/browser/pictures.mjs
	mkdir -p docs/pictures
	for name in shop dashboard; do \
	  pngquant --force --strip --speed 1 --output docs/pictures/$$name.png 128 target/screenshots/readme-$$name.png || exit 1; done

test-topologies: ## Run all tests over one server, sentinels and a cluster, with each server of this machine; TOPOLOGY=cluster SERVER=program runs one
	@scripts/bootstrap --tests
	SERVER=$(SERVER) scripts/test-topologies $(TOPOLOGY)

lint: ## Check formatting, lints and documentation, of Lua too
	@scripts/bootstrap --lint
	scripts/lint-lua
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --locked --workspace --no-deps --quiet

fmt: ## Format the code
	cargo fmt --all

build: ## Build the program for production: target/release/flashsale
	@scripts/bootstrap --cargo
	cargo build --locked --release

dist: ## Build the program for old Linux too, as an archive and a Debian package, into target/dist
	@scripts/bootstrap --cargo
	scripts/dist

proof: ## Rush the running service at URL (default http://127.0.0.1:8080) with five buyers too many, and prove that nothing was oversold
	loadtest/rush.sh $(or $(URL),http://127.0.0.1:8080)

loadtest: build ## Run k6, Locust and wrk, briefly, against a service of their own; fails when something was oversold
	loadtest/smoke --install

bench: ## Measure flashsale beside what others would do, and write loadtest/RESULTS.md and its plots (about 22 minutes; ROUNDS=1 SECONDS=1: 6)
	@scripts/bootstrap --bench
	cargo build --locked --release --workspace
	target/release/flashsale-bench --rounds $(or $(ROUNDS),5) --seconds $(or $(SECONDS),2)

fuzz: ## Fuzz each reader of bytes from outside for FUZZ_SECONDS (default 600); TARGET=heads fuzzes one
	@scripts/bootstrap --cargo
	fuzz/run

chaos: ## Break everything below several services while a crowd buys, and check what it was answered; SEED=7 RUNS=1 SECONDS=10 TOPOLOGY=cluster, JOBS=3 at once
	@scripts/bootstrap --tests
	SEED=$(SEED) RUNS=$(RUNS) SECONDS=$(SECONDS) TOPOLOGY=$(TOPOLOGY) JOBS=$(JOBS) cargo test --locked --test it -- \
	  --ignored --exact chaos::as_many_runs_as_one_likes_keep_all_promises --nocapture

chaos-judge: ## Judge a run again that was kept: HISTORY=file.json, which `FLASHSALE_CHAOS_HISTORY=folder make chaos` wrote
	HISTORY=$(HISTORY) cargo test --locked --test it -- --ignored --exact chaos::a_history_that_was_kept_is_judged_again --nocapture

chaos-mutants: ## Plant mistakes in scripts and service, find each by chaos, and write the table of docs/chaos.md; CHAOS_MUTANTS=hold plants some
	@scripts/bootstrap --tests
	CHAOS_MUTANTS=$(CHAOS_MUTANTS) cargo test --locked --test it -- --ignored --exact chaos::mutants::every_planted_bug_is_found --nocapture

mutants: ## Plant mistakes in the scripts, one at a time, and name the test that sees each: those that none is known to see; MUTANTS=settle runs some
	@scripts/bootstrap --tests
	FLASHSALE_MUTANTS=$(MUTANTS) cargo test --locked --test it -- --ignored --exact mutants::every_mutant_is_killed --nocapture

mutation: ## Change domain and webhook in every way that cargo-mutants knows, and list what no unit test sees; SHARD=0/8 runs a part
	@scripts/mutation $(SHARD)

reliability: ## Measure what each fault costs, and write RELIABILITY.md (about 8 minutes); SCENARIO=sentinel runs some and writes nothing
	@scripts/bootstrap --tests
	FLASHSALE_SCENARIO=$(SCENARIO) cargo test --locked --test it -- --ignored --exact reliability::the_reliability_of_each_fault_is_measured --nocapture

deny: ## Check licences, bans and sources of everything that is linked
	@scripts/deny licenses bans sources

advisories: ## Check everything that is linked against known vulnerabilities; fetches their list
	@scripts/deny advisories

clean: ## Remove what was built
	cargo clean
