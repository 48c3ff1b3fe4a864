#!/usr/bin/env bash
# Builds what the pipeline needs and hands over to the driver, which reads pipeline.yaml; `--help` says what it takes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v cargo >/dev/null; then
    echo "error: cargo is not here: install Rust from https://rustup.rs, open a new shell, and run this again" >&2
    exit 2
fi

target=${CARGO_TARGET_DIR:-target}
if [ ! -x "$target/release/driver" ]; then
    echo "building; the first time takes about 10 minutes on 2 cores" >&2
    cargo build --release --locked
else
    # Nothing is said where nothing is to be built; cargo's own errors always are.
    cargo build --release --locked --quiet
fi
exec "$target/release/driver" "$@"
