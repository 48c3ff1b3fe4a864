"""Benchmarks the pipeline against PyTorch and NumPy on this machine: see scripts/benchmark.sh."""

import argparse
import datetime
import os
import platform
import statistics
import subprocess
import tempfile
from pathlib import Path

from benchmark import comparisons, growth, ours, page

PARTS = ["training", "learning", "generation", "snapshot", "metrics", "rest", "growth", "curve"]
MODES = {"float32": "PyTorch, float32", "bf16": "PyTorch, bf16 autocast", "compile": "PyTorch, torch.compile"}


def training(tables, arguments):
    rows = []
    for name, mine, theirs in comparisons.training(tables, arguments.rounds, arguments.modes.split(",")):
        for contest in mine:
            who = [f"`{name}`" if contest is mine[0] else "", f"this project, {contest.name}"]
            rows.append([*who, page.spread(contest.seconds), page.memory(contest.peak_bytes), *("" for _ in mine)])
        for contest in theirs:
            ratios = [f"{one.times_faster_than(contest):.2f} ×" for one in mine]
            rows.append(["", MODES[contest.name], page.spread(contest.seconds), page.memory(contest.peak_bytes), *ratios])
    header = ["setting", "", "training step: median (min – max)", "peak memory"]
    header += [f"speedup of our {precision}" for precision in comparisons.PRECISIONS]
    imported = page.memory(comparisons.imported())
    return page.table(header, rows) + f"\nOf PyTorch's memory, {imported} are in use after the import.\n"


def generation(tables, arguments):
    rows = []
    for name, mine, theirs in comparisons.generation(tables, arguments.rounds):
        speeds = [f"{1 / contest.median:.0f}" for contest in (mine, theirs)]
        rows.append([name, *speeds, f"{mine.times_faster_than(theirs):.1f} ×"])
    return (
        page.table(["characters per second", "this project", "PyTorch", "speedup"], rows)
        + "\nPyTorch generates as nanoGPT does, without a KV cache: every character takes a forward pass over the whole context.\n"
    )


def snapshot(tables, arguments):
    stage, forward, writing = comparisons.snapshot(tables, arguments.rounds)
    parts = [one + other for one, other in zip(forward.seconds, writing.seconds)]
    ratio = statistics.median(whole / part for whole, part in zip(stage.seconds, parts))
    rows = [
        ["`snapshot`, the whole program", page.spread(stage.seconds), page.memory(stage.peak_bytes)],
        ["a plain forward pass over the same number of characters", page.spread(forward.seconds), ""],
        ["the same rows written by Arrow C++", page.spread(writing.seconds), ""],
    ]
    return (
        page.table(["one checkpoint, 12 windows", "time", "peak memory"], rows)
        + f"\n`snapshot` takes {ratio:.2f} × the sum of the other two.\n"
    )


def metrics(tables, arguments):
    if not tables.path("attention", step=0).exists():
        ours.untrained(tables, comparisons.STUDY)
        tables.stage("snapshot", "--steps", 0)
    stage, numpy, reading = comparisons.metrics(tables, arguments.rounds)
    rows = [
        [f"`metrics`, the whole program, on {os.cpu_count()} threads", page.spread(stage.seconds), page.memory(stage.peak_bytes), ""],
        [
            "NumPy, vectorised, on one thread",
            page.spread(numpy.seconds),
            page.memory(numpy.peak_bytes),
            f"{stage.times_faster_than(numpy):.1f} ×",
        ],
        [
            "reading and decompressing only, by Arrow C++",
            page.spread(reading.seconds),
            "",
            f"{stage.times_faster_than(reading):.2f} ×",
        ],
    ]
    return page.table(["one checkpoint, 12 windows", "time", "peak memory", "speedup"], rows)


def rest(tables, arguments):
    rows = []
    for contest, bound in comparisons.rest(tables, arguments.rounds, arguments.study):
        rows.append([contest.name, page.spread(contest.seconds), page.memory(contest.peak_bytes), bound])
    return page.table(["", "time: median (min – max)", "peak memory", "target"], rows)


def grown(tables, _):
    rows = list(growth.measure(tables))
    growth.draw(rows, Path("docs/figures/growth.svg"))
    cells = lambda seen: [page.time(seen[0]), page.memory(seen[1])] if seen else ["", ""]
    lines = [[row[0], row[1], *(cell for seen in row[2:] for cell in cells(seen))] for row in rows]
    header = ["", "", "training step", "memory", "snapshot", "memory", "metrics", "memory"]
    return (
        page.table(header, lines)
        + "\nOne measurement per cell.\n"
        + "\n![Time and peak memory against block size, layers, windows and snapshots](figures/growth.svg)\n"
    )


def learning(tables, arguments):
    """Validation losses in every precision and of PyTorch, which should agree."""
    small, seeds = comparisons.TRAININGS["small"], [1337, 1338, 1339]
    return losses(comparisons.learning(tables, small, 2000, 2000, seeds, comparisons.PRECISIONS, "float32"))


def curve(tables, arguments):
    """The first 500 steps of the study's model: ours in float32 and in the fastest precision here, PyTorch in its faster mode."""
    fastest = ours.fastest_precision()
    precisions = list(dict.fromkeys(["float32", fastest]))
    peer = "bf16" if fastest == "bf16" else "float32"
    setting = comparisons.TRAININGS[arguments.setting]
    table = losses(comparisons.learning(tables, setting, 500, 5000, [1337], precisions, peer))
    return f"Validation loss of `{arguments.setting}`.\n\n{table}"


def losses(contests):
    """Mean and standard deviation of validation loss over seeds: a row per step, a column per implementation."""
    names, curves = zip(*contests)
    rows = []
    for step in curves[0]:
        cells = [curve[step] for curve in curves]
        spread = lambda values: f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
        rows.append([step, *(f"{statistics.mean(values):.3f}{spread(values)}" for values in cells)])
    return page.table(["step", *names], rows)


WORK = dict(zip(PARTS, [training, learning, generation, snapshot, metrics, rest, grown, curve]))
TITLES = {
    "training": "Training",
    "learning": "Loss curves",
    "generation": "Generation",
    "snapshot": "Snapshots",
    "metrics": "Metrics",
    "rest": "Other stages",
    "growth": "Scaling",
    "curve": "The first 500 steps of the study's model",
}


def machine():
    versions = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    import numpy
    import torch

    return (
        f"On {datetime.date.today()}, {ours.processor()}; Linux {platform.release().split('-')[0]}, Rust {versions}, "
        f"PyTorch {torch.__version__.split('+')[0]}, NumPy {numpy.__version__}."
    )


def main():
    parser = argparse.ArgumentParser(
        prog="benchmark.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="run this part only; repeatable")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (5)")
    parser.add_argument("--modes", default="float32,bf16,compile", help="PyTorch's training modes (all three)")
    parser.add_argument(
        "--setting", choices=["paper16", "paper64"], default="paper16",
        help="model of --only curve (paper16; paper64, with the study's batch_size, takes hours)",
    )  # fmt: skip
    parser.add_argument("--study", type=Path, help="folder of artifacts to time correlate and plot on")
    arguments = parser.parse_args()
    sections = [machine() + "\n"]
    print(sections[0])
    with tempfile.TemporaryDirectory() as folder:
        tables = ours.Tables(folder)
        for part in arguments.only or PARTS[:-1]:
            section = f"### {TITLES[part]}\n\n{WORK[part](tables, arguments)}"
            print(section, flush=True)
            sections.append(section)
    if arguments.only is None:
        page.write("docs/performance.md", "\n".join(sections))
        print("written to docs/performance.md")


if __name__ == "__main__":
    main()
