"""Scaling of time and memory: one dimension varies at a time, the others are those of the small model."""

import statistics

from benchmark import ours
from benchmark.comparisons import say

LAYERS, HEADS, WIDTH, BLOCK = 4, 4, 128, 64
WINDOWS, SNAPSHOTS = 12, 1
DIMENSIONS = {
    "block size": [64, 128, 256, 512, 1024],
    "layers": [2, 4, 8, 16],
    "windows": [12, 48, 192],
    "snapshots": [1, 4, 16],
}


def measure(tables):
    """Rows: dimension, value, and for each stage seconds and peak bytes; seconds of training are per step."""
    for dimension, values in DIMENSIONS.items():
        for value in values:
            say(f"growth: {dimension} {value}")
            layers = value if dimension == "layers" else LAYERS
            block = value if dimension == "block size" else BLOCK
            windows = value if dimension == "windows" else WINDOWS
            snapshots = value if dimension == "snapshots" else SNAPSHOTS
            shape = (layers, HEADS, WIDTH, block)
            steps = f"0-{snapshots - 1}/1" if snapshots > 1 else "0"
            train = None
            if dimension in ("block size", "layers"):
                seconds, done = ours.train(tables, shape, 0.0, 12, 4, 5)
                train = (statistics.median(seconds), done.peak_bytes)
            else:
                tables.stage(
                    "train", *ours.shape_flags(shape), "--batch-size", 12, "--max-iters", snapshots,
                    "--eval-iters", 1, "--checkpoint-steps", steps,
                )  # fmt: skip
            probes = ["--val-windows", windows * 2 // 3, "--repeat-windows", windows // 3]
            stages = [
                tables.stage("snapshot", "--steps", steps, *probes),
                tables.stage("metrics", "--steps", steps, "--layer-similarity", "true"),
            ]
            yield dimension, value, train, *((done.seconds, done.peak_bytes) for done in stages)


def draw(rows, path):
    """Draws time above memory, a column per dimension, with logarithmic axes."""
    import matplotlib

    matplotlib.use("svg")
    # Text stays text, and the file is deterministic.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "growth", "font.size": 9})
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, len(DIMENSIONS), figsize=(11, 5.2), sharey="row", layout="constrained")
    styles = [("train, per step", "#0072B2", "o"), ("snapshot", "#D55E00", "s"), ("metrics", "#009E73", "^")]
    for column, (dimension, values) in enumerate(DIMENSIONS.items()):
        ours_of = [row for row in rows if row[0] == dimension]
        for stage, (label, colour, marker) in enumerate(styles):
            seen = [(row[1], *row[2 + stage]) for row in ours_of if row[2 + stage] is not None]
            if not seen:
                continue
            at, seconds, peaks = zip(*seen)
            axes[0][column].plot(at, [1e3 * value for value in seconds], color=colour, marker=marker, label=label)
            axes[1][column].plot(at, [value / 1e6 for value in peaks], color=colour, marker=marker)
        for row in axes:
            row[column].set_xscale("log", base=2)
            row[column].set_yscale("log")
            row[column].set_xticks(values, map(str, values))
            row[column].grid(color="#dddddd", linewidth=0.6)
            row[column].spines[["top", "right"]].set_visible(False)
        axes[1][column].set_xlabel(dimension)
    axes[0][0].set_ylabel("time, ms")
    axes[1][0].set_ylabel("peak memory, MB")
    axes[0][0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
