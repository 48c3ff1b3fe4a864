#!/usr/bin/env bash
# Benchmarks the pipeline against PyTorch and NumPy on this machine. Builds the programs, and installs PyTorch (about 6 GB with its
# dependencies) in its own environment, .venv-benchmark.
#
#   scripts/benchmark.sh                       all parts but the curve: about an hour on 2 cores; writes docs/performance.md
#   scripts/benchmark.sh --only training       one part, only printed: training, learning, generation, snapshot, metrics, rest,
#                                              growth, or curve, the loss over the first 500 steps of the study's model
#   scripts/benchmark.sh --rounds 1            one round, for a quick estimate
#   scripts/benchmark.sh --modes float32,bf16  what PyTorch trains with: float32, bf16, compile; by default all three
#   scripts/benchmark.sh --only curve --setting paper64    the curve with the study's batch_size: hours
#   scripts/benchmark.sh --study artifacts/laptop          times correlate and plot on this folder
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case " $* " in
*" --help "* | *" -h "*)
    sed -n '2,/^set /{/^set /!s/^#\( \|$\)//p}' "$0"
    exit 0
    ;;
esac
environment=.venv-benchmark
python3 -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check --requirement python/benchmark/requirements.txt
cargo build --release --locked --quiet
PYTHONPATH=python exec "$environment/bin/python" -m benchmark "$@"
