# make demo runs the main job; make test passes the tests. Both build once and share the result.
.PHONY: demo test nightly bench fmt build web tools test-tools

CARGO ?= cargo
BAILIWICK = target/debug/bailiwick
# The web app, which the binary embeds as it stands when the binary is built.
WEB = web/dist/index.html
WEB_TOOLS = web/node_modules/.package-lock.json
WEB_SOURCES = $(shell find web/src web/public -type f) web/package.json web/tsconfig.json web/webpack.config.mjs

demo: build
	@$(BAILIWICK) demo $(DEMO)

# Each suite leaves a report of what ran; the last line prints what did not.
test: export REPORTS = $(CURDIR)/.cache/reports
test: test-tools $(WEB_TOOLS)
	@rm -rf $(REPORTS) && mkdir -p $(REPORTS)
	cd web && npm run --silent check
	@touch $(WEB)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --document-private-items --locked
	CARGO='$(CARGO)' tests/rust
	$(CARGO) build --locked --package bailiwick --package bailiwick-python
	python/test
	python/test-versions
	tests/peers/run
	tests/web/run
	@tests/not-run web.xml rust.txt python.xml peers.xml browser.xml

# The law of noninterference on 100,000 cases instead of 2,000, and how long a search takes beside hidden documents.
nightly: tools
	NONINTERFERENCE_CASES=100000 $(CARGO) test --locked --package bailiwick-index --test index \
	  hidden_documents -- --nocapture --test-threads 1

bench: tools
	bench/run

fmt:
	$(CARGO) fmt --all

build: tools web
	@$(CARGO) build --locked --package bailiwick

web:
	@if command -v npm >/dev/null; then $(MAKE) -s $(WEB); \
	else echo "The web app is left out, because npm is not here: install Node.js 20 or newer, https://nodejs.org"; fi

$(WEB): $(WEB_TOOLS) $(WEB_SOURCES)
	@echo "Building the web app"
	@cd web && npm run --silent build
	@touch $@

$(WEB_TOOLS): web/package-lock.json
	@echo "Installing what the web app is built with"
	@cd web && npm ci --loglevel=error --no-audit --no-fund --ignore-scripts

tools:
	@command -v $(CARGO) >/dev/null || { echo "Rust 1.90 or newer is needed: https://rustup.rs"; exit 2; }

test-tools: tools
	@command -v python3 >/dev/null || { echo "Python 3.10 or newer is needed; on Debian: apt install python3 python3-venv"; exit 2; }
	@command -v npm >/dev/null || { echo "Node.js 20 or newer with npm is needed: https://nodejs.org"; exit 2; }
	@tests/web/browser >/dev/null
