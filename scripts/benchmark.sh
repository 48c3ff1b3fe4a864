#!/usr/bin/env bash
# Benchmarks the pipeline against PyTorch and NumPy on this machine. `--help` lists the options. Builds the programs, and
# installs PyTorch (about 6 GB with its dependencies) in its own environment, .venv-benchmark.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

environment=.venv-benchmark
python3 -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check --requirement python/benchmark/requirements.txt
cargo build --release --locked --quiet
PYTHONPATH=python exec "$environment/bin/python" -m benchmark "$@"
