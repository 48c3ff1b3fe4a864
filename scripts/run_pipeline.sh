#!/usr/bin/env bash
# Builds the pipeline and runs the driver, which reads pipeline.yaml. `--help` lists the options.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# `--features cuda` (or vulkan) must come first and is for the build; all other options are for the driver. The driver gets the
# features too, for the command that it prints to resume.
build=(cargo build --release --locked)
if [ "${1:-}" = --features ] && [ $# -ge 2 ]; then
    build+=(--features "$2")
    set -- --built-with "${@:2}"
fi

target=${CARGO_TARGET_DIR:-target}
# On a node of a cluster nothing is built: tasks would do so at the same time, and there may be no compiler.
if [ -n "${SLURM_JOB_ID:-}" ] && [ -x "$target/release/driver" ]; then
    exec "$target/release/driver" "$@"
fi

if ! command -v cargo >/dev/null; then
    echo "error: cargo not found: install Rust from https://rustup.rs, open a new shell, and run this again" >&2
    exit 2
fi

# Cargo's errors and warnings, and that it waits for another build, but not what it compiles.
quietly() {
    { "$@" 2>&1 >&3 | grep --line-buffered -vE '^ +(Compiling|Finished|Fresh|Dirty|Updating|Locking) ' >&2; } 3>&1
    return "${PIPESTATUS[0]}"
}

if [ -x "$target/release/driver" ]; then
    # Prints a line only if the build takes a while; usually nothing has changed.
    # The redirections keep `sleep` from holding the caller's pipes open.
    { sleep 3 >/dev/null 2>&1 && echo "rebuilding what has changed" >&2; } >/dev/null &
    notice=$!
    quietly "${build[@]}" || { kill "$notice" 2>/dev/null; exit 1; }
    kill "$notice" 2>/dev/null || true
else
    echo "building; the first build takes about 10 minutes on 2 cores" >&2
    "${build[@]}"
fi
exec "$target/release/driver" "$@"
