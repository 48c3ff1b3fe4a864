"""What can be derived from the tables of `train`: learning rates, bits per character, results."""

import math

import numpy as np
import pandas as pd

from .report import EXACT, FLOAT64
from .statistics import standard_error
from .study import trainings

RESULTS = ["final_train_loss", "best_val_loss", "total_train_time_secs", "inference_tokens_per_sec"]
SPLITS = ["split_val_loss", "split_test_loss"]


def verify(store, report, progress):
    progress("evaluations, training_log, results")
    for keys in store.own("evaluations"):
        where = " ".join(map(str, keys.values()))
        evaluations, config = store.read("evaluations", **keys), store.config("evaluations", **keys)
        bits = evaluations["val_loss"] / math.log(2)
        report.compare("evaluations", "val_bits_per_char", evaluations["val_bits_per_char"], bits, FLOAT64, where)
        # What was trained elsewhere has another schedule.
        if "learning_rate" not in config:
            continue
        for table in ("evaluations", "training_log"):
            frame = store.read(table, **keys)
            rates = [learning_rate(step, config) for step in frame["step"]]
            report.compare(table, "learning_rate", frame["learning_rate"], rates, FLOAT64, where)
    if (store.root / "results").is_dir():
        verify_results(store, report)


def learning_rate(step, config):
    """nanoGPT's schedule: linear warm-up, then cosine decay to `min_lr`."""
    most, least, warmup = config["learning_rate"], config["min_lr"], config["warmup_iters"]
    end = config["max_iters"] if config.get("lr_decay_iters") is None else config["lr_decay_iters"]
    if step < warmup:
        return most * (step + 1) / (warmup + 1)
    if step >= end:
        return least
    return least + 0.5 * (1 + math.cos(math.pi * (step - warmup) / (end - warmup))) * (most - least)


def verify_results(store, report):
    stored = store.read("results")
    rows = []
    for dataset, run in zip(stored["dataset"], stored["run"]):
        of_run = trainings(store, "evaluations", dataset, run)
        by_seed = [numbers(store, keys) for keys in of_run]
        row = {"dataset": dataset, "run": run, "seeds": len(by_seed)}
        steps = {keys["seed"]: best_step(store, keys) for keys in of_run}
        found = stored[(stored["dataset"] == dataset) & (stored["run"] == run)]["best_val_loss_steps"].iloc[0]
        # The tables do not have the order of the seeds.
        where = f"{dataset} {run}"
        report.compare("results", "best_val_loss_steps", sorted(found), sorted(steps.values()), EXACT, where)
        splits = [[split_loss(store, keys, split) for keys in of_run] for split in ("val", "test")]
        for name, values in [*zip(RESULTS, zip(*by_seed)), *zip(SPLITS, splits)]:
            row |= {f"{name}_mean": np.mean(values), f"{name}_stderr": standard_error(values)}
        rows.append(row)
    tolerances = {f"{name}_{part}": FLOAT64 for name in RESULTS + SPLITS for part in ("mean", "stderr")}
    report.compare_frames("results", stored, pd.DataFrame(rows), ["dataset", "run"], {"seeds": EXACT, **tolerances})


def numbers(store, keys):
    """The results of one training: the mean loss over the last tenth of the logged steps (at least one), the lowest
    validation loss over multiples of eval_interval and the last step, the time of all activities of training, and characters per second of the
    final checkpoint's samples."""
    evaluations = store.read("evaluations", **keys)
    training = store.read("timings", **keys, stage="train")
    generation = store.read("timings", **keys, stage="generate")
    generation = generation[(generation["activity"] == "generation") & (generation["step"] == generation["step"].max())]
    logged = store.read("training_log", **keys).sort_values("step")["loss"]
    # An import has no log: then it is the training loss of the last evaluation.
    last = evaluations.sort_values("step")["train_loss"].iloc[-1]
    return (
        logged.tail(max(len(logged) // 10, 1)).mean() if len(logged) else last,
        regular_losses(store, keys).min(),
        training["wall_secs"].sum(),
        generation["characters"].sum() / generation["wall_secs"].sum(),
    )


def regular_losses(store, keys):
    """Validation losses by step, at multiples of eval_interval and at the last step."""
    # Of an import every evaluation counts.
    interval = store.config("evaluations", **keys).get("eval_interval", 1)
    losses = store.read("evaluations", **keys).set_index("step")["val_loss"]
    return losses[(losses.index % interval == 0) | (losses.index == losses.index.max())]


def best_step(store, keys):
    return regular_losses(store, keys).idxmin()


def split_loss(store, keys, split):
    """The last checkpoint's loss over a whole split; NaN where it is not evaluated."""
    if not store.has("split_losses", **keys):
        return math.nan
    losses = store.read("split_losses", **keys)
    last = store.read("evaluations", **keys)["step"].max()
    losses = losses[(losses["split"] == split) & (losses["step"] == last)]["loss_nats"]
    return losses.iloc[0] if len(losses) else math.nan
