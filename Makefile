# What there is to do. `make` alone prints this list.
.DEFAULT_GOAL := help
.PHONY: help run test lint fmt build loadtest clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Start the service with something to sell, and its own private Redis
	@scripts/bootstrap
	cargo run --locked -- serve --demo

test: ## Run all tests, on private Redis servers that they start themselves
	@scripts/bootstrap --tests
	cargo test --locked --lib --test it

lint: ## Check formatting, lints and documentation
	@scripts/bootstrap --cargo
	cargo fmt --check
	cargo clippy --locked --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --locked --no-deps --quiet

fmt: ## Format the code
	cargo fmt

build: ## Build the program for production: target/release/flashsale
	@scripts/bootstrap --cargo
	cargo build --locked --release

loadtest: ## Rush the running service at URL (default http://127.0.0.1:8080) with 105 buyers, and prove that nothing was oversold
	loadtest/rush.sh $(or $(URL),http://127.0.0.1:8080)

clean: ## Remove what was built
	cargo clean
