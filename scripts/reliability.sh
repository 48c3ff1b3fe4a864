#!/usr/bin/env bash
# Attacks the pipeline from outside, as users, disks and networks do, and prints counts. Builds the programs first.
#
#   scripts/reliability.sh kills    whole pipelines, killed 500 times at random moments, must end with the same bytes
#   scripts/reliability.sh soak     1,000 jobs that do nothing, of which 10 % fail; and how long it takes when nothing is to be done
#   scripts/reliability.sh faults   disk full, read-only folder, memory limit, second driver, no locks, power loss
#   scripts/reliability.sh fuzz     every reader, fuzzed with coverage guidance, a minute each; needs a C++ compiler
#   scripts/reliability.sh slurm    a Slurm cluster of this host: the same bytes as a local run, also if jobs, nodes, controller and
#                                   driver are killed; installs Debian's packages where it may
#   scripts/reliability.sh all      all of these
#
# `scripts/reliability.sh kills --help` lists the options of a command, before which `--built` uses the programs as they are. Some faults need Linux, root or strace; what cannot be
# made is said and counted as skipped. Exit code 1 if anything was not as it must be. docs/reliability.md has results.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=true
if [ "${1:-}" = --built ]; then
    build=false
    shift
fi
case "${1:-}" in
"" | -h | --help)
    sed -n '2,/^set /{/^set /!s/^#\( \|$\)//p}' "$0"
    exit 0
    ;;
esac

# With pyarrow, what clocks reach is compared, too, but for the clocks.
python=python3
if [ -x .venv/bin/python ]; then
    python=.venv/bin/python
elif ! python3 -c 'import pyarrow' 2>/dev/null; then
    echo "note: pyarrow is missing, so that timings, results and lineage are checked for being complete only" >&2
fi
target=${CARGO_TARGET_DIR:-target}
case " $* " in *" --help "* | *" -h "*) build=false ;; esac
if $build; then
    cargo build --release --locked --quiet --bins
    case "$1" in soak | slurm | all) cargo build --release --locked --quiet --example fake_stage ;; esac
fi
PYTHONPATH=python exec "$python" -m reliability --programs "$target/release" "$@"
