"""What is held against what. Contenders take turns, so that a machine that slows down slows all of them; a ratio is that
of one turn, and the median over turns is what is told."""

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
"""What our matrix products multiply."""
STUDY = (6, 6, 384, 256)
"""The study's model: layers, heads, width, block."""
TRAININGS = {
    # name: shape, dropout, batch, updates a stretch, the peer's modes
    "small": ((4, 4, 128, 64), 0.0, 12, 40, ["float32", "bf16", "compile"]),
    "paper16": (STUDY, 0.2, 16, 3, ["float32", "bf16", "compile"]),
    "paper64": (STUDY, 0.2, 64, 1, ["float32", "bf16"]),
}


@dataclass
class Contest:
    """What one contender took in every turn, and the most memory it held."""

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
    """What the peer printed, and the run."""
    shape = ",".join(map(str, shape))
    # As our programs, it asks for huge pages.
    done = run([sys.executable, "-m", "benchmark.peer", work, "--shape", shape, *flags], THP_MEM_ALLOC_ENABLE="1")
    return json.loads(done.output.splitlines()[-1]), done


def training(tables, turns, chosen):
    """A training step, by setting: ours in every precision, then the peer's modes. A mode that is much slower than the peer's
    float32 in the first turn, as bf16 is where the processor has no such products, sits the others out. `chosen` are the
    peer's modes that play."""
    for name, (shape, dropout, batch, steps, modes) in TRAININGS.items():
        mine = [Contest(precision, []) for precision in PRECISIONS]
        theirs = [Contest(mode, []) for mode in modes if mode in chosen]
        for turn in range(turns):
            say(f"training {name}, turn {turn + 1} of {turns}")
            for contest in mine:
                seconds, done = ours.train(tables, shape, dropout, batch, 3, steps, "--precision", contest.name)
                contest.seconds.append(statistics.median(seconds))
                contest.peak_bytes = max(contest.peak_bytes, done.peak_bytes)
            for contest in theirs:
                if turn > 0 and contest.seconds[0] > 1.3 * theirs[0].seconds[0]:
                    continue
                flags = ["--dropout", dropout, "--batch", batch, "--mode", contest.name, "--steps", 3 * steps]
                seconds, done = peer("train", shape, *flags)
                # The first stretch warms up, for both; the peer's first step also compiles.
                contest.seconds.append(statistics.median(seconds[steps:]))
                contest.peak_bytes = max(contest.peak_bytes, done.peak_bytes)
        yield name, mine, theirs


def imported():
    """The memory that the peer holds before it has done anything."""
    return run([sys.executable, "-c", "import torch"], THP_MEM_ALLOC_ENABLE="1").peak_bytes


def learning(tables, setting, updates, decayed, seeds, precisions, mode):
    """Validation losses by update, a list over seeds, of ours in some precisions and of the peer in a mode. The learning rate
    has come down at update `decayed`. Random streams are each contender's own, so losses agree but for their spread."""
    shape, dropout, batch, _, _ = setting
    every, batches = updates // 4, 50
    for precision in precisions:
        curve = {}
        for seed in seeds:
            say(f"learning, ours in {precision}, seed {seed}")
            tables.stage(
                "train", *ours.shape_flags(shape, dropout), "--batch-size", batch, "--max-iters", updates,
                "--lr-decay-iters", decayed, "--eval-interval", every, "--eval-iters", batches, "--precision", precision,
                "--run", precision, "--seed", seed,
            )  # fmt: skip
            evaluations = tables.path("evaluations", run=precision, seed=seed)
            for row in pq.read_table(evaluations, partitioning=None).to_pylist():
                curve.setdefault(row["step"], []).append(row["val_loss"])
        yield f"this project, {precision}", curve
    curve = {}
    for seed in seeds:
        say(f"learning, the peer's, seed {seed}")
        flags = ["--dropout", dropout, "--batch", batch, "--mode", mode, "--steps", updates, "--end", decayed]
        corpus = ",".join(map(str, tables.splits()))
        flags += ["--every", every, "--eval-iters", batches, "--corpus", corpus, "--seed", seed]
        losses, _ = peer("learn", shape, *flags)
        for step, loss in losses.items():
            curve.setdefault(int(step), []).append(loss)
    yield f"PyTorch, {mode}", curve


def generation(tables, turns):
    """Characters a second at the study's size, ours and the peer's."""
    block = STUDY[3]
    past = 64
    ours.untrained(tables, STUDY)
    works = {
        f"one text of {block} characters": (1, [block], "exact"),
        f"ten texts of {block} characters together": (10, [block], "exact"),
        f"one text of {4 * block} characters, `rollover`": (1, [4 * block], "rollover"),
        "one text past the block, `exact`": (1, [block, block + past], "exact"),
    }
    for name, (samples, lengths, policy) in works.items():
        mine, theirs = Contest("ours", []), Contest("float32", [])
        # Past the block is what a longer text takes more than one of a block.
        characters = samples * (lengths[-1] - (lengths[0] if len(lengths) > 1 else 0))
        for turn in range(turns):
            say(f"generation of {name}, turn {turn + 1} of {turns}")
            took = [ours.generate(tables, samples, length, policy) for length in lengths]
            mine.seconds.append((took[-1] - sum(took[:-1])) / characters)
            # The peer's speed past the block does not change any more, so a shorter text stands for a long one.
            longest = min(lengths[-1], block + past)
            took, _ = peer(
                "generate", STUDY, "--samples", samples, "--lengths", ",".join(map(str, [*lengths[:-1], longest]))
            )
            peer_characters = characters if longest == lengths[-1] else samples * longest
            theirs.seconds.append((took[-1] - sum(took[:-1])) / peer_characters)
        yield name, mine, theirs


def snapshot(tables, turns):
    """Seconds of `snapshot`; of a plain forward pass over as many characters; of writing the same rows by Arrow."""
    windows = 12
    stage, forward, writing = Contest("snapshot", []), Contest("forward", []), Contest("writing", [])
    copy = tables.folder / "copy.parquet"
    for turn in range(turns):
        say(f"snapshot, turn {turn + 1} of {turns}")
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


def metrics(tables, turns):
    """Seconds of `metrics`; of vectorised NumPy; of reading and decompressing the file alone."""
    attention, windows = tables.path("attention", step=0), tables.path("windows")
    stage, numpy, reading = Contest("metrics", []), Contest("numpy", []), Contest("reading", [])
    for turn in range(turns):
        say(f"metrics, turn {turn + 1} of {turns}")
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


def nothing_to_do(folder):
    """The command of a pipeline that has run, 14 nodes a seed and three for all of them; the least work that each can have."""
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


def rest(tables, turns, study):
    """What has no peer, and what is asked of it."""
    say("the other stages")

    def timed(name, command):
        runs = [run(command) for _ in range(turns)]
        return Contest(name, [done.seconds for done in runs], max(done.peak_bytes for done in runs))

    yield timed("`--help` of a stage", [ours.PROGRAMS / "train", "--help"]), "0.05 s"
    yield timed("a pipeline of 1,000 nodes with nothing to do", nothing_to_do(tables.folder / "nodes")), "1 s"
    text = tables.folder / "hundred_megabytes.txt"
    # A text of any kind will do: the one that was prepared, over and over.
    symbols = pq.read_table(tables.splits()[0])["token"].to_numpy().astype("uint8") + 32
    text.write_bytes((symbols.tobytes() * (100_000_000 // len(symbols) + 1))[:100_000_000])
    # What was just written is on its way to the disk still, and what is written next would wait for it.
    os.sync()
    place = ["--artifacts", tables.folder, "--dataset", text.stem, "--source", text]
    yield timed("`prep` on 100 MB", [ours.PROGRAMS / "prep", *place, "--quiet"]), "1 s"
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
