#!/usr/bin/env bash
# Runs the tests of the crates with unsafe code under AddressSanitizer, which reports reads and writes out of bounds and use
# after free in the kernels of every instruction set that this processor has.
#
#   scripts/sanitize.sh [CRATE…]   the crates to test; all of model, allocator, attention_metrics and simd_dispatch by default
#
# Needs what a build needs, on Linux or macOS. It compiles the dependencies once more, in target/sanitize: Burn among them for
# `model`, which takes as long as a first build; the other three take about two minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "${1:-}" in
-h | --help)
    sed -n '2,/^set /{/^set /!s/^#\( \|$\)//p}' "$0"
    exit 0
    ;;
-*)
    echo "error: unknown option \`$1\`; expected crates, or none for all" >&2
    exit 2
    ;;
esac
[ $# -gt 0 ] || set -- model allocator attention_metrics simd_dispatch
packages=()
for crate; do packages+=(--package "$crate"); done

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/sanitize
# The sanitizer is an unstable option of the stable compiler. A target is named so that build scripts and macros, which run inside
# the compiler, are built without it.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address"
host=$(rustc -vV | sed -n 's/^host: //p')
exec cargo test --release --locked --target "$host" "${packages[@]}" --lib --tests
