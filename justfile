# `just` lists these. Each is one line that you can as well type yourself.

_default:
    @just --list --unsorted

# What a change must pass before anything else: format, lints, floors
check:
    cargo fmt --check
    cargo clippy --all-targets --locked -- -D warnings
    cargo test --locked --test architecture

# Every test that needs only Rust, Python 3 and, for the reverse proxies, nginx, Caddy, curl and openssl
test *args:
    cargo test --locked {{ args }}

# The tests inside of the sources
test-unit *args:
    cargo test --locked --lib {{ args }}

# The test programs in tests/, against the real binary; `just test-integration transports` runs one
test-integration program="*" *args:
    cargo test --locked --test '{{ program }}' {{ args }}

# Other people's clients, the official conformance suite and the page in a browser, against the release binary (Node, Chromium)
test-e2e: clients conformance page

# The share of each floor that tests execute: all of them, or those that `cargo test` would run with these words
coverage *args:
    tests/coverage {{ args }}

# The same of the tests inside of the sources
coverage-unit:
    tests/coverage --lib

# The same of one test program: `just coverage-integration transports`; without a name of all
coverage-integration program="*":
    tests/coverage --test '{{ program }}'

# Serve ./plugins on 127.0.0.1:8000
run *args:
    cargo run --release --locked -- {{ args }}

# The official conformance suite against the release binary (Node)
conformance: release
    SMCP_BIN="$PWD/target/release/smcp" tests/conformance/run

# The server's page in a real browser, against the release binary (Node, Debian's chromium)
page: release
    SMCP_BIN="$PWD/target/release/smcp" tests/page/run

# The official SDKs' clients against the release binary (Python, Node)
clients: release
    SMCP_BIN="$PWD/target/release/smcp" tests/clients/run

# Prometheus, the alert rules and a collector of spans against the release binary (Debian's package, Python)
monitoring: release
    SMCP_BIN="$PWD/target/release/smcp" tests/monitoring/run

# The pages as one book with search, in target/book: cargo install --locked mdbook@0.5.4
book:
    docs/dev/book.py target/book-src
    mdbook build

# Measure smcp and write docs/benchmarks.md: a few minutes on a machine that does nothing else
bench *args:
    benches/run {{ args }}

# Measure it beside FastMCP, mcp-proxy, supergateway and rmcp (Python with venv, Node): under fifteen minutes
bench-peers *args:
    benches/run {{ args }} compare

# Micro-benchmarks of the parts, and of a run beside the bare spawn
bench-micro *args:
    cargo bench --locked {{ args }}

# Licences, bans and sources of the dependencies; then known advisories
deny:
    cargo deny check --hide-inclusion-graph bans licenses sources
    cargo deny check advisories

# The whole gate, as CI runs it
ci:
    .ci/run

[private]
release:
    cargo build --release --locked
