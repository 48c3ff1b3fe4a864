"""Attacks the pipeline from outside. `scripts/reliability.sh` builds the programs and calls this."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from . import faults, fuzz, kills, slurm, soak
from .pipeline import ROOT


def main():
    parser = argparse.ArgumentParser(prog="scripts/reliability.sh", description=__doc__.split("\n\n")[0])
    parser.add_argument("--programs", default=ROOT / "target/release", type=Path, help="folder of the built programs")
    parser.add_argument("--work", type=Path, help="folder to work in, kept afterwards [a temporary one]")
    commands = parser.add_subparsers(dest="command", required=True)
    for part in kills, soak, faults, fuzz, slurm:
        part.add(commands)
    everything = commands.add_parser("all", help="kills, soak, faults, a minute of fuzzing per target, and slurm")
    everything.set_defaults(run=None)
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp(prefix="reliability-"))
    work.mkdir(parents=True, exist_ok=True)
    given.programs = given.programs.resolve()
    if given.run:
        passed = given.run(given, work)
    else:
        passed = True
        for command in "kills", "soak", "faults", "fuzz", "slurm":
            print(f"\n== {command}", flush=True)
            started = time.monotonic()
            each = parser.parse_args(["--programs", str(given.programs), command])
            well = each.run(each, work / command)
            print(f"{'passed' if well else 'FAILED'}: {command} ({time.monotonic() - started:.0f} s)")
            passed = passed and well
    if passed and not given.work:
        shutil.rmtree(work, ignore_errors=True)
    elif not passed:
        print(f"kept for inspection: {work}")
    sys.exit(not passed)


if __name__ == "__main__":
    main()
