#!/usr/bin/env bash
# Measures the pipeline beside PyTorch and NumPy on this machine; `--help` says what it takes. Builds the programs, and puts
# PyTorch (some 6 GB with what it brings along) into an environment of its own, .venv-benchmark.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

environment=.venv-benchmark
python3 -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check --requirement python/benchmark/requirements.txt
cargo build --release --locked --quiet
PYTHONPATH=python exec "$environment/bin/python" -m benchmark "$@"
