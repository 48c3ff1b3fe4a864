"""Checks that the metrics find the structure planted in the control datasets, and none where there is none.

Reads the tables of the profile `control` and prints, for each control and over its seeds, what was planted, measured and
expected. The lowest possible loss is computed here, from the rule of each dataset alone. Exit code 1 if a planted structure
is not found, or a structure is found that was not planted.

    ./scripts/run_pipeline.sh --profile control
    python python/check_controls.py artifacts/control
"""

import argparse
import sys
from dataclasses import dataclass
from math import inf, log
from pathlib import Path

import numpy as np
import polars as pl

RUN = "run_2"
# The rules of the datasets, as in docs/controls.md.
SYMBOLS = 16
LAG, LAG_CERTAINTY = 6, 0.9
COPY_CERTAINTY = 0.8
# The head that predicts the next character of control_lag attends this far back from the current one.
DISTANCE = LAG - 1


@dataclass
class Check:
    """A quantity, one value per seed, and the range in which each must lie."""

    what: str
    measured: list
    low: float = -inf
    high: float = inf

    def is_required(self):
        """Whether the value is checked; otherwise it is only printed."""
        return self.low > -inf or self.high < inf

    def holds(self):
        return bool(self.measured) and all(self.low <= value <= self.high for value in self.measured)

    def __str__(self):
        low, high = (f"{value:.3f}" for value in (min(self.measured), max(self.measured)))
        measured = low if low == high else f"{low} to {high}"
        if self.low == self.high:
            expected = f"{self.low:.3f}"
        elif not self.is_required():
            return f"  {'':<6}  {self.what:<92}  {measured}"
        elif self.low == -inf or self.high == inf:
            expected = f"at most {self.high:.3f}" if self.low == -inf else f"at least {self.low:.3f}"
        else:
            expected = f"{self.low:.3f} to {self.high:.3f}"
        return f"  {'ok' if self.holds() else 'FAILED':<6}  {self.what:<92}  {measured:<16}  expected {expected}"


class Training:
    """The tables of one control and seed."""

    def __init__(self, artifacts, dataset, seed):
        self.folder = f"dataset={dataset}/run={RUN}/seed={seed}"
        self.artifacts = artifacts
        self.heads = self.read("head_metrics")
        self.losses = self.read("evaluations").sort("step")
        self.steps = self.heads["step"].unique().sort().to_list()
        uniform = self.read("baselines")
        self.uniform = dict(zip(uniform["metric"], uniform["value"]))

    def read(self, table, below=""):
        return pl.read_parquet(f"{self.artifacts}/{table}/{self.folder}/{below}{table}.parquet")

    def best(self, metric, step):
        """The row of head_metrics of the head with the largest value."""
        return self.heads.filter(step=step).sort(metric, descending=True).row(0, named=True)

    def loss(self, step):
        return self.losses.filter(step=step)["val_loss"].item()

    def masses(self, step):
        """Attention by distance, [layer, head, distance], in float64: entry `d` is the mean, over the queries `i ≥ d` of
        all `val` windows, of the attention to the key `i − d`."""
        val = self.read("windows").filter(kind="val")["window"]
        rows = self.read("attention", f"step={step}/").filter(pl.col("window").is_in(val.implode()))
        shape = [rows[key].max() + 1 for key in ("layer", "head", "query")]
        sums, counts = np.zeros(shape), np.zeros(shape)
        for layer, head, weights in zip(rows["layer"], rows["head"], rows["weights"]):
            sums[layer, head, : len(weights)] += weights.to_numpy()[::-1]
            counts[layer, head, : len(weights)] += 1
        return sums / counts


def shares(certainty):
    """The probabilities of the planted character and of each other one."""
    other = (1 - certainty) / SYMBOLS
    return certainty + other, other


def lag_loss(block):
    """Loss of a perfect model on control_lag in windows of `block` characters, in nats. The rule does not reach the first
    `LAG − 1` predictions."""
    planted, other = shares(LAG_CERTAINTY)
    rate = -planted * log(planted) - (SYMBOLS - 1) * other * log(other)
    return ((LAG - 1) * log(SYMBOLS) + (block - LAG + 1) * rate) / block


def copy_loss(text, block, windows=2000):
    """Loss on control_copy, in windows of `block` characters and in nats, of a Bayesian reader that uses what followed earlier
    occurrences of the current character and nothing else: a perfect induction head.

    The prior over the successor is uniform over the other symbols; what followed before updates it by Bayes' rule."""
    planted, other = shares(COPY_CERTAINTY)
    starts = np.linspace(0, len(text) - block - 1, windows).astype(int)
    seen = np.stack([text[start : start + block + 1] for start in starts])
    symbols = np.arange(SYMBOLS)
    lost = []
    for place in range(block):
        current, following = seen[:, place, None], seen[:, place + 1, None]
        belief = np.where(symbols == current, 0.0, 1.0)
        for before in range(place):
            likelihood = np.where(symbols == seen[:, before + 1, None], planted, other)
            belief *= np.where(seen[:, before, None] == current, likelihood, 1.0)
        belief /= belief.sum(axis=1, keepdims=True)
        lost.append(-np.log((belief * np.where(symbols == following, planted, other)).sum(axis=1)))
    return float(np.mean(lost))


def unigram_loss(vocabulary):
    """Loss of a model that knows the frequency of each symbol and nothing else: the unigram entropy."""
    share = vocabulary["train_count"].to_numpy() / vocabulary["train_count"].sum()
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())


def text(artifacts, dataset):
    return pl.read_parquet(f"{artifacts}/corpus/dataset={dataset}/split=val/corpus.parquet")["token"].to_numpy()


def lag_checks(trainings, artifacts):
    block = int(trainings[0].masses(0).shape[-1])
    floor = lag_loss(block)
    first, last, farthest, spans, lost, copying = [], [], [], [], [], []
    for training in trainings:
        before, after = (training.masses(step) for step in (training.steps[0], training.steps[-1]))
        layer, head = np.unravel_index(after[:, :, DISTANCE].argmax(), after.shape[:2])
        first.append(before[:, :, DISTANCE].max())
        last.append(after[layer, head, DISTANCE])
        farthest.append(float(after[layer, head].argmax()))
        spans.append(training.heads.filter(step=training.steps[-1], layer=layer, head=head)["mean_distance"].item())
        lost.append(training.loss(training.steps[-1]) - floor)
        copying.append(training.best("induction_score", training.steps[-1])["induction_score"])
    uniform = trainings[0].uniform["induction_score"]
    return [
        Check("untrained: attention at distance 5, best head", first, high=0.15),
        Check("trained: attention at distance 5, best head", last, low=0.5),
        Check("trained: the distance that head attends to most", farthest, DISTANCE, DISTANCE),
        Check("trained: mean_distance of that head", spans, DISTANCE - 0.75, DISTANCE + 0.75),
        Check(f"trained: val_loss minus a perfect model's {floor:.3f}", lost, -0.03, 0.05),
        Check("trained: induction_score, best head", copying, high=uniform + 0.1),
    ]


def copy_checks(trainings, artifacts):
    block = int(trainings[0].masses(0).shape[-1])
    reader, nothing = copy_loss(text(artifacts, "control_copy"), block), log(SYMBOLS)
    first, last, lost, together, fixed, previous = [], [], [], [], [], []
    for training in trainings:
        scores = [training.best("induction_score", step) for step in training.steps]
        losses = [training.loss(step) for step in training.steps]
        values = [score["induction_score"] for score in scores]
        first.append(values[0])
        last.append(values[-1])
        lost.append((nothing - losses[-1]) / (nothing - reader))
        together.append(float(np.corrcoef(values, losses)[0, 1]))
        after = training.masses(training.steps[-1])
        # An induction head attends to what followed the earlier occurrence, so to no single distance; where there is none, it
        # attends to the current character. The longest distances have few rows, too few for a mean.
        fixed.append(after[scores[-1]["layer"], scores[-1]["head"], 1 : block // 2].max())
        below = training.heads.filter(step=training.steps[-1]).filter(pl.col("layer") < scores[-1]["layer"])
        previous.append(below["previous_token_score"].max() or 0.0)
    uniform = trainings[0].uniform
    return [
        Check("untrained: induction_score, best head", first, high=uniform["induction_score"] + 0.05),
        Check("trained: induction_score, best head", last, low=0.5),
        Check(f"trained: val_loss reduction from {nothing:.3f}, as a share of that to a Bayesian reader's {reader:.3f}", lost, low=0.75),
        Check("correlation of that score and val_loss over training", together, high=-0.8),
        Check("trained: attention of that head at any one distance of 1 or more", fixed, high=0.3),
        Check("trained: previous_token_score, best head below", previous, low=uniform["previous_token_score"] + 0.05),
    ]


def shuffled_checks(trainings, artifacts):
    floor = unigram_loss(pl.read_parquet(f"{artifacts}/vocabulary/dataset=control_shuffled/vocabulary.parquet"))
    copying, fixed, entropy, lost = [], [], [], []
    for training in trainings:
        after = training.masses(training.steps[-1])
        by_distance = np.array([np.mean([1 / (i + 1) for i in range(d, after.shape[-1])]) for d in range(after.shape[-1])])
        fixed.append((after - by_distance)[:, :, : after.shape[-1] // 2].max())
        copying.append(training.best("induction_score", training.steps[-1])["induction_score"])
        entropy.append(training.heads.filter(step=training.steps[-1])["normalized_entropy"].min())
        lost.append(training.loss(training.steps[-1]) - floor)
    uniform = trainings[0].uniform["induction_score"]
    return [
        Check("trained: induction_score, best head", copying, high=uniform + 0.1),
        Check("trained: attention at any one distance minus uniform attention's", fixed, high=0.1),
        Check("trained: normalized_entropy, most focused head (see docs/controls.md)", entropy),
        Check(f"trained: val_loss minus the unigram entropy, {floor:.3f}", lost, -0.03, 0.05),
    ]


CONTROLS = {
    "control_lag": ("each character depends on the one six before it", lag_checks),
    "control_copy": ("a character is followed by what followed it before", copy_checks),
    "control_shuffled": ("no structure", shuffled_checks),
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("artifacts", nargs="?", default="artifacts/control", type=Path)
    artifacts = arguments.parse_args().artifacts
    failed = total = 0
    for control, (planted, checks) in CONTROLS.items():
        folders = sorted((artifacts / "head_metrics" / f"dataset={control}" / f"run={RUN}").glob("seed=*"))
        if not folders:
            sys.exit(f"error: {artifacts} has no head_metrics of {control}; run ./scripts/run_pipeline.sh --profile control")
        trainings = [Training(artifacts, control, folder.name.removeprefix("seed=")) for folder in folders]
        seeds = f"{len(folders)} seed{'s' if len(folders) > 1 else ''}"
        print(f"\n{control}, {seeds}; planted: {planted}")
        for check in checks(trainings, artifacts):
            print(check)
            total, failed = total + check.is_required(), failed + (not check.holds())
    print(f"\n{total - failed} of {total} checks passed" + (f", {failed} FAILED" if failed else ""))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
