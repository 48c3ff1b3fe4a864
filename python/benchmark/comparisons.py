"""The comparisons. Implementations alternate in rounds, so that a change in the machine's speed affects all of them.
A ratio is that of one round; the median over rounds is reported."""

import json
import os
import shlex
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from benchmark import ours
from benchmark.process import run

PRECISIONS = ["float32", "bf16", "int16"]
"""Precisions of our matrix products."""
STUDY = (6, 6, 384, 256)
"""The study's model: n_layer, n_head, n_embd, block_size."""
TRAININGS = {
    # name: shape, dropout, batch_size, steps per interval, PyTorch's modes
    "small": ((4, 4, 128, 64), 0.0, 12, 40, ["float32", "bf16", "compile"]),
    "paper16": (STUDY, 0.2, 16, 3, ["float32", "bf16", "compile"]),
    "paper64": (STUDY, 0.2, 64, 1, ["float32", "bf16"]),
}


@dataclass
class Contest:
    """The times of one implementation in every round, and its peak memory."""

    name: str
    seconds: list[float]
    peak_bytes: int = 0

    @property
    def median(self):
        return statistics.median(self.seconds)

    def times_faster_than(self, other):
        return statistics.median(theirs / mine for mine, theirs in zip(self.seconds, other.seconds))


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def peer(work, shape, *flags):
    """What the PyTorch baseline printed, and its run."""
    shape = ",".join(map(str, shape))
    # Huge pages, as in our programs.
    done = run([sys.executable, "-m", "benchmark.peer", work, "--shape", shape, *flags], THP_MEM_ALLOC_ENABLE="1")
    return json.loads(done.output.splitlines()[-1]), done


def training(tables, rounds, chosen):
    """Seconds of a training step, by setting: ours in every precision, then PyTorch in its modes. A mode that is much slower
    than PyTorch's float32 in the first round, as bf16 is on a CPU without bf16 products, is skipped in the others. `chosen`
    are the modes of PyTorch to run."""
    for name, (shape, dropout, batch, steps, modes) in TRAININGS.items():
        mine = [Contest(precision, []) for precision in PRECISIONS]
        theirs = [Contest(mode, []) for mode in modes if mode in chosen]
        for number in range(rounds):
            say(f"training {name}, round {number + 1} of {rounds}")
            for contest in mine:
                seconds, done = ours.train(tables, shape, dropout, batch, 3, steps, "--precision", contest.name)
                contest.seconds.append(statistics.median(seconds))
                contest.peak_bytes = max(contest.peak_bytes, done.peak_bytes)
            for contest in theirs:
                if number > 0 and contest.seconds[0] > 1.3 * theirs[0].seconds[0]:
                    continue
                flags = ["--dropout", dropout, "--batch", batch, "--mode", contest.name, "--steps", 3 * steps]
                seconds, done = peer("train", shape, *flags)
                # The first interval is a warm-up for both; torch.compile compiles in the first step.
                contest.seconds.append(statistics.median(seconds[steps:]))
                contest.peak_bytes = max(contest.peak_bytes, done.peak_bytes)
        yield name, mine, theirs


def imported():
    """PyTorch's memory after the import."""
    return run([sys.executable, "-c", "import torch"], THP_MEM_ALLOC_ENABLE="1").peak_bytes


def learning(tables, setting, max_iters, lr_decay_iters, seeds, precisions, mode):
    """Validation losses by step, a list over seeds, of ours in some precisions and of PyTorch in a mode. The random streams
    differ, so losses agree only up to their spread over seeds."""
    shape, dropout, batch, _, _ = setting
    every, batches = max_iters // 4, 50
    for precision in precisions:
        curve = {}
        for seed in seeds:
            say(f"learning, ours in {precision}, seed {seed}")
            tables.stage(
                "train", *ours.shape_flags(shape, dropout), "--batch-size", batch, "--max-iters", max_iters,
                "--lr-decay-iters", lr_decay_iters, "--eval-interval", every, "--eval-iters", batches, "--precision", precision,
                "--run", precision, "--seed", seed,
            )  # fmt: skip
            evaluations = tables.path("evaluations", run=precision, seed=seed)
            for row in pq.read_table(evaluations, partitioning=None).to_pylist():
                curve.setdefault(row["step"], []).append(row["val_loss"])
        yield f"this project, {precision}", curve
    curve = {}
    for seed in seeds:
        say(f"learning, PyTorch in {mode}, seed {seed}")
        flags = ["--dropout", dropout, "--batch", batch, "--mode", mode, "--steps", max_iters, "--end", lr_decay_iters]
        corpus = ",".join(map(str, tables.splits()))
        flags += ["--every", every, "--eval-iters", batches, "--corpus", corpus, "--seed", seed]
        losses, _ = peer("learn", shape, *flags)
        for step, loss in losses.items():
            curve.setdefault(int(step), []).append(loss)
    yield f"PyTorch, {mode}", curve


def generation(tables, rounds):
    """Seconds per character with the study's model, ours and PyTorch's."""
    block = STUDY[3]
    past = 64
    ours.untrained(tables, STUDY)
    works = {
        f"one sample of {block} characters": (1, [block], "exact"),
        f"ten samples of {block} characters, batched": (10, [block], "exact"),
        f"one sample of {4 * block} characters, `rollover`": (1, [4 * block], "rollover"),
        "one sample beyond block_size, `exact`": (1, [block, block + past], "exact"),
    }
    for name, (samples, lengths, policy) in works.items():
        mine, theirs = Contest("ours", []), Contest("float32", [])
        # The time beyond block_size is the difference between a longer sample and one of block_size.
        characters = samples * (lengths[-1] - (lengths[0] if len(lengths) > 1 else 0))
        for number in range(rounds):
            say(f"generation of {name}, round {number + 1} of {rounds}")
            took = [ours.generate(tables, samples, length, policy) for length in lengths]
            mine.seconds.append((took[-1] - sum(took[:-1])) / characters)
            # PyTorch's speed beyond block_size is constant, so a shorter sample gives it too.
            longest = min(lengths[-1], block + past)
            took, _ = peer(
                "generate", STUDY, "--samples", samples, "--lengths", ",".join(map(str, [*lengths[:-1], longest]))
            )
            peer_characters = characters if longest == lengths[-1] else samples * longest
            theirs.seconds.append((took[-1] - sum(took[:-1])) / peer_characters)
        yield name, mine, theirs


def snapshot(tables, rounds):
    """Seconds of `snapshot`; of a plain forward pass over the same number of characters; of writing the same rows by Arrow."""
    windows = 12
    stage, forward, writing = Contest("snapshot", []), Contest("forward", []), Contest("writing", [])
    copy = tables.folder / "copy.parquet"
    for number in range(rounds):
        say(f"snapshot, round {number + 1} of {rounds}")
        tables.forget_training()
        ours_of = ["--batch-size", windows, "--max-iters", 1, "--eval-iters", 4]
        tables.stage("train", *ours.shape_flags(STUDY), *ours_of)
        passes = tables.timings("train", "evaluation")
        characters = windows * STUDY[3]
        forward.seconds.append(characters * sum(s for s, _ in passes) / sum(c for _, c in passes))
        done = tables.stage("snapshot", "--steps", 0, "--val-windows", 8, "--repeat-windows", 4)
        stage.seconds.append(done.seconds)
        stage.peak_bytes = max(stage.peak_bytes, done.peak_bytes)
        table = pq.read_table(tables.path("attention", step=0), partitioning=None)
        started = time.perf_counter()
        pq.write_table(
            table,
            copy,
            row_group_size=table.num_rows // windows,
            compression="zstd",
            compression_level=1,
            use_dictionary=False,
        )
        writing.seconds.append(time.perf_counter() - started)
    copy.unlink()
    return stage, forward, writing


def metrics(tables, rounds):
    """Seconds of `metrics`; of vectorised NumPy; of only reading and decompressing the file."""
    attention, windows = tables.path("attention", step=0), tables.path("windows")
    stage, numpy, reading = Contest("metrics", []), Contest("numpy", []), Contest("reading", [])
    for number in range(rounds):
        say(f"metrics, round {number + 1} of {rounds}")
        done = tables.stage("metrics", "--steps", 0, "--layer-similarity", "true")
        stage.seconds.append(done.seconds)
        stage.peak_bytes = max(stage.peak_bytes, done.peak_bytes)
        done = run([sys.executable, "-m", "benchmark.numpy_metrics", attention, windows])
        numpy.seconds.append(float(done.output))
        numpy.peak_bytes = max(numpy.peak_bytes, done.peak_bytes)
        started = time.perf_counter()
        pq.read_table(attention, partitioning=None)
        reading.seconds.append(time.perf_counter() - started)
    return stage, numpy, reading


def up_to_date(folder):
    """The command of a pipeline whose jobs are all up to date: 14 jobs per seed and three for all, each as small as possible."""
    seeds = list(range(1, 73))
    least = {
        "seeds": seeds,
        "train.max_iters": 1,
        "train.eval_iters": 1,
        "snapshot.steps": 0,
        "generate.samples": 2,
        "generate.length": 20,
        "correlate.permutations": 10,
    }
    settings = [word for name, value in least.items() for word in ("--set", f"{name}={value}")]
    command = [ours.PROGRAMS / "driver", "--profile", "smoke", "--artifacts", folder, *settings]
    run(command)
    return command


def rest(tables, rounds, study):
    """What has no counterpart in PyTorch or NumPy, each with its target."""
    say("the other stages")

    def timed(name, command):
        runs = [run(command) for _ in range(rounds)]
        return Contest(name, [done.seconds for done in runs], max(done.peak_bytes for done in runs))

    yield timed("`--help` of a stage", [ours.PROGRAMS / "train", "--help"]), "0.05 s"
    yield timed("a pipeline of 1,000 jobs that are all up to date", up_to_date(tables.folder / "jobs")), "1 s"
    text = tables.folder / "hundred_megabytes.txt"
    # Any text will do: the prepared one, repeated.
    symbols = pq.read_table(tables.splits()[0])["token"].to_numpy().astype("uint8") + 32
    text.write_bytes((symbols.tobytes() * (100_000_000 // len(symbols) + 1))[:100_000_000])
    # Otherwise the next writes would wait for this file to reach the disk.
    os.sync()
    job = ["--artifacts", tables.folder, "--dataset", text.stem, "--source", text]
    yield timed("`prep` on 100 MB", [ours.PROGRAMS / "prep", *job, "--quiet"]), "1 s"
    text.unlink()
    if study is None:
        return
    seeds = {path.name for path in Path(study).glob("evaluations/dataset=*/run=*/seed=*")}
    for stage in ("correlate", "plot"):
        command = run([ours.PROGRAMS / "driver", "--artifacts", study, "--only", stage, "--force", "--dry-run"])
        for line in command.output.splitlines():
            if f"release/{stage} " in line:
                yield timed(f"`{stage}` of {study} ({len(seeds)} seeds)", shlex.split(line)), "30 s"
                break
