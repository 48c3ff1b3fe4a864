"""Measurements of this project: the pipeline's own programs, in a folder of artifacts for measuring."""

import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq

from benchmark.process import run

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
DATASET, RUN, SEED = "shakespeare_char", "run_2", 1337


class Tables:
    """A folder of artifacts for measuring, in which the dataset is prepared."""

    def __init__(self, folder):
        self.folder = Path(folder)
        run([PROGRAMS / "prep", "--artifacts", self.folder, "--dataset", DATASET, "--quiet"])

    def forget_training(self):
        """Removes the training, as `train` does not repeat a finished one."""
        for table in ("training_log", "evaluations", "timings", "tracking", "checkpoints", "optimizer"):
            shutil.rmtree(self.folder / table, ignore_errors=True)

    def stage(self, name, *flags):
        job = ["--artifacts", self.folder, "--dataset", DATASET, "--run", RUN, "--seed", SEED]
        return run([PROGRAMS / name, *job, "--quiet", *flags])

    def path(self, table, **more):
        keys = {"dataset": DATASET, "run": RUN, "seed": SEED, **more}
        folder = self.folder.joinpath(table, *(f"{key}={value}" for key, value in keys.items()))
        return folder / f"{table}.parquet"

    def splits(self):
        """The files of the train and the val split."""
        return [self.folder / f"corpus/dataset={DATASET}/split={split}/corpus.parquet" for split in ("train", "val")]

    def timings(self, stage, activity):
        """Seconds and characters of each row of an activity."""
        rows = pq.read_table(self.path("timings", stage=stage)).to_pylist()
        return [(row["wall_secs"], row["characters"]) for row in rows if row["activity"] == activity]


def shape_flags(shape, dropout=0.0):
    layers, heads, embd, block = shape
    return [
        "--n-layer", layers, "--n-head", heads, "--n-embd", embd, "--block-size", block, "--dropout", dropout,
    ]  # fmt: skip


def train(tables, shape, dropout, batch, intervals, steps, *flags):
    """Seconds per training step in each interval of `steps` but the first, which is a warm-up; and the run."""
    tables.forget_training()
    done = tables.stage(
        "train", *shape_flags(shape, dropout), "--batch-size", batch, "--max-iters", intervals * steps,
        "--eval-interval", steps, "--eval-iters", 1, *flags,
    )  # fmt: skip
    return [seconds / steps for seconds, _ in tables.timings("train", "steps")[1:]], done


def untrained(tables, shape):
    """Makes a checkpoint of step 0: a model's speed does not depend on training."""
    tables.forget_training()
    tables.stage("train", *shape_flags(shape), "--batch-size", 1, "--max-iters", 1, "--eval-iters", 1)


def generate(tables, samples, length, policy):
    """Seconds to generate `samples` samples of `length` characters."""
    tables.stage(
        "generate", "--steps", 0, "--samples", samples, "--length", length, "--context-policy", policy,
        "--temperature", 0.8, "--top-k", 200,
    )  # fmt: skip
    return sum(seconds for seconds, _ in tables.timings("generate", "generation"))


def processor():
    """A line that describes this machine's CPU."""
    name, flags = described()
    sets = {"avx512_vnni": "AVX-512 with VNNI", "avx512f": "AVX-512", "avx2": "AVX2"}
    vectors = next((name for flag, name in sets.items() if flag in flags), "no AVX2")
    # This project multiplies bfloat16 only with AMX, PyTorch with either.
    products = {"amx_bf16": "AMX", "avx512_bf16": "bf16 products but no AMX"}
    bf16 = next((name for flag, name in products.items() if flag in flags), "no bf16 products")
    return f"{os.cpu_count()} cores of {name}, {vectors}, {bf16}"


def fastest_precision():
    """The precision in which our matrix products are fastest on this machine."""
    _, flags = described()
    return "bf16" if "amx_bf16" in flags else "int16" if "avx512_vnni" in flags else "float32"


def described():
    """The CPU's name and its feature flags, from /proc/cpuinfo."""
    fields = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields.get("model name", "an unknown processor"), fields.get("flags", "").split()
