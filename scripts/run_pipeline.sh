#!/usr/bin/env bash
# Builds what the pipeline needs and hands over to the driver, which reads pipeline.yaml; `--help` says what it takes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v cargo >/dev/null; then
    echo "error: cargo is not here: install Rust from https://rustup.rs, open a new shell, and run this again" >&2
    exit 2
fi

# `--features cuda` (or vulkan), given first, is for the build; everything else is for the driver, which is told of it so that
# it can say how to go on.
build=(cargo build --release --locked)
if [ "${1:-}" = --features ] && [ $# -ge 2 ]; then
    build+=(--features "$2")
    set -- --built-with "${@:2}"
fi

target=${CARGO_TARGET_DIR:-target}
if [ -x "$target/release/driver" ]; then
    # Mostly nothing is to be built, and then nothing is said.
    # The pause holds no pipe open that somebody reads.
    { sleep 3 >/dev/null 2>&1 && echo "building what has changed since the last time" >&2; } >/dev/null &
    patience=$!
    "${build[@]}" --quiet || { kill "$patience" 2>/dev/null; exit 1; }
    kill "$patience" 2>/dev/null || true
else
    echo "building; the first time takes about 10 minutes on 2 cores" >&2
    "${build[@]}"
fi
exec "$target/release/driver" "$@"
