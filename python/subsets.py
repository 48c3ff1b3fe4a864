"""How often a study with fewer seeds would have misled.

    python python/subsets.py artifacts/seeds --sizes 3,8 --times 20

Draws subsets of the study's seeds at random, tests the claims on each by the program `correlate`, and compares the verdicts with
those of all seeds. Prints a row per claim: its verdict with all seeds and, for each size, in how many subsets it is supported,
refuted, inconclusive or not tested; and at the end how many decided verdicts of the subsets all seeds decide the other way.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
VERDICTS = ["supported", "refuted", "inconclusive", "not_tested"]
OPPOSITE = {"supported": "refuted", "refuted": "supported"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", type=Path, help="folder of a profile's tables, with `findings`")
    parser.add_argument("--sizes", default="3,8", help="seeds of a subset (default: 3,8)")
    parser.add_argument("--times", type=int, default=20, help="subsets of each size (default: 20)")
    parser.add_argument("--correlate", type=Path, default=ROOT / "target/release/correlate", help="the program")
    return parser.parse_args()


def findings(file):
    """The verdicts by claim."""
    table = pq.read_table(file, columns=["claim", "verdict"]).to_pydict()
    return dict(zip(table["claim"], table["verdict"]))


def verdicts(given, study, inputs, dataset, seeds):
    """The verdicts of a study of these seeds: its tables are hard links, in a temporary folder beside them."""
    study = study | {"datasets": [of | {"seeds": seeds} for of in study["datasets"] if of["name"] == dataset]}
    wanted = {f"seed={seed}" for seed in seeds}
    with tempfile.TemporaryDirectory(dir=given.artifacts.parent, prefix="subset_") as folder:
        for path in inputs:
            if wanted & set(path.split("/")):
                link = Path(folder, path)
                link.parent.mkdir(parents=True, exist_ok=True)
                os.link(given.artifacts / path, link)
        command = [given.correlate, "--artifacts", folder, "--study", json.dumps(study), "--permutations", "1"]
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode:
            sys.exit(f"error: correlate with the seeds {seeds} failed:\n{ended.stderr}")
        return findings(Path(folder, f"findings/dataset={dataset}/findings.parquet"))


def main():
    given = arguments()
    files = sorted(given.artifacts.glob("findings/dataset=*/findings.parquet"))
    if not files:
        sys.exit(f"error: {given.artifacts} has no table `findings`: run the pipeline first")
    for file in files:
        metadata = pq.read_metadata(file).metadata
        config = json.loads(metadata[b"config"])
        study = {"datasets": config["datasets"], "runs": config["runs"], "missing": config.get("missing", [])}
        # Of the other tables that `correlate` reads, some are inputs of other outputs only.
        inputs = {entry["path"] for entry in json.loads(metadata[b"inputs"])}
        inputs |= {str(path.relative_to(given.artifacts)) for table in ("training_log", "timings", "split_losses") for path in given.artifacts.glob(f"{table}/**/*.parquet")}
        dataset = file.parent.name.removeprefix("dataset=")
        seeds = next(of["seeds"] for of in config["datasets"] if of["name"] == dataset)
        compare(given, study, inputs, dataset, seeds, findings(file))


def compare(given, study, inputs, dataset, seeds, of_all):
    sizes = [int(size) for size in given.sizes.split(",")]
    counts, against = {}, Counter()
    for size in sizes:
        if size >= len(seeds):
            sys.exit(f"error: --sizes {size}: the study of {dataset} has {len(seeds)} seeds")
        generator = random.Random(size)
        for time in range(given.times):
            print(f"{dataset}: {size} seeds, subset {time + 1} of {given.times}", file=sys.stderr, end="\r")
            found = verdicts(given, study, inputs, dataset, sorted(generator.sample(seeds, size)))
            for claim, verdict in found.items():
                counts.setdefault((claim, size), Counter())[verdict] += 1
                against[size, "decided"] += verdict in OPPOSITE
                against[size, "the other way"] += OPPOSITE.get(verdict) == of_all[claim]
                against[size, "only there"] += verdict in OPPOSITE and of_all[claim] not in OPPOSITE
    print(file=sys.stderr)
    print(f"{dataset}: {len(seeds)} seeds, and {given.times} subsets of each size")
    print("supported / refuted / inconclusive / not tested\n")
    header = ["claim", f"{len(seeds)} seeds", *(f"{size} seeds" for size in sizes)]
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for claim, verdict in of_all.items():
        of_sizes = (" / ".join(str(counts[claim, size][verdict]) for verdict in VERDICTS) for size in sizes)
        print("| " + " | ".join([f"`{claim}`", verdict.replace("_", " "), *of_sizes]) + " |")
    print()
    for size in sizes:
        decided, other, only = (against[size, what] for what in ("decided", "the other way", "only there"))
        print(
            f"{size} seeds: {decided} verdicts are decided; {len(seeds)} seeds decide {other} of them the other way and leave"
            f" {only} open"
        )


if __name__ == "__main__":
    main()
