# make demo runs the main job; make test passes the tests. Both build once and share the result.
.PHONY: demo test bench fmt build tools test-tools

CARGO ?= cargo
BAILIWICK = target/debug/bailiwick

demo: build
	@$(BAILIWICK) demo $(DEMO)

test: test-tools
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --document-private-items --locked
	$(CARGO) test --workspace --locked
	$(CARGO) build --locked --package bailiwick
	tests/peers/run

bench: tools
	bench/run

fmt:
	$(CARGO) fmt --all

build: tools
	@$(CARGO) build --locked --package bailiwick

tools:
	@command -v $(CARGO) >/dev/null || { echo "Rust 1.90 or newer is needed: https://rustup.rs"; exit 2; }

test-tools: tools
	@command -v python3 >/dev/null || { echo "Python 3.10 or newer is needed; on Debian: apt install python3 python3-venv"; exit 2; }
	@command -v npm >/dev/null || { echo "Node.js 20 or newer with npm is needed: https://nodejs.org"; exit 2; }
