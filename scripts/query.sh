#!/usr/bin/env bash
# Asks SQL of the tables of a study: ./scripts/query.sh "SELECT * FROM results". docs/querying.md shows questions and answers. Builds
# the program `query` first; the first time that takes as long as the whole pipeline, because of polars; after that, `--help` lists
# the options. DuckDB (`duckdb -init artifacts.sql` in the folder of the tables) answers the same SQL without a build.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if ! command -v cargo >/dev/null; then
    echo "error: cargo not found: install Rust from https://rustup.rs, open a new shell, and run this again" >&2
    exit 2
fi

target=${CARGO_TARGET_DIR:-$root/target}
build=(cargo build --release --locked --package query --manifest-path "$root/Cargo.toml")
if [ -x "$target/release/query" ]; then
    build+=(--quiet)
elif [[ " $* " == *" --help "* || " $* " == *" -h "* ]]; then
    sed -n '2,/^set /{/^set /!s/^#\( \|$\)//p}' "${BASH_SOURCE[0]}"
    exit 0
else
    echo "building polars, once: about 22 minutes of processor time" >&2
fi
"${build[@]}" </dev/null
# From the folder of the caller, whose files the options name.
exec "$target/release/query" "$@"
