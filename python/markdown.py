"""Prints tables of a study as Markdown, for the pages in docs/ that report a run.

    python python/markdown.py findings --artifacts artifacts/laptop >findings.txt
    python python/markdown.py reference --artifacts artifacts/laptop

`findings`: every claim with its value, interval, threshold, p-value before and after the correction, verdict and reason.
`reference`: mean and standard deviation over seeds of each metric, averaged over heads or pairs of layers, at a few steps of the
training, and of each layer at its end.
"""

import argparse
import sys
from pathlib import Path

import polars as pl

HEAD_METRICS = {
    "entropy_nats": "entropy (nats)",
    "normalized_entropy": "normalized entropy",
    "mean_distance": "mean attention distance (characters)",
    "span_90": "90 % span (characters)",
    "first_token_mass": "first-token mass",
    "previous_token_score": "previous-token score",
    "induction_score": "induction score",
}
PAIR_METRICS = {"js_similarity": "layer similarity (1 − JSD)", "centered_cosine_similarity": "centred cosine of layers"}
STEPS_SHOWN = 8


def scan(artifacts, table):
    folder = Path(artifacts) / table
    if not folder.is_dir():
        sys.exit(f"error: {folder} is missing: run the pipeline first, or pass the folder of tables as --artifacts")
    return pl.scan_parquet(folder, hive_partitioning=True)


def number(value, digits=3):
    if value is None:
        return "–"
    if value == 0 or value == int(value) and abs(value) < 1e6:
        return f"{value:.0f}".replace("-", "−")
    text = f"{value:.{digits}f}" if abs(value) >= 10**-digits else f"{value:.1e}"
    return text.replace("-", "−")


def p_value(value):
    return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"


def table(head, rows):
    print(f"| {' | '.join(head)} |")
    print("|" + "---|" * len(head))
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print()


def findings(artifacts, _):
    """Every claim of every dataset, in the order of the study."""
    for (dataset,), rows in scan(artifacts, "findings").collect().group_by("dataset", maintain_order=True):
        print(f"## {dataset}\n")
        counts = rows.group_by("verdict", maintain_order=True).len().rows()
        print(", ".join(f"{count} {verdict.replace('_', ' ')}" for verdict, count in counts) + ".", end=" ")
        print(f"{rows['p_value'].count()} claims have a test and are one family; p is before and after Holm's correction for them.\n")
        lines = []
        for row in rows.iter_rows(named=True):
            interval = "" if row["low"] is None else f" [{number(row['low'])}, {number(row['high'])}]"
            low, high = row["threshold_low"], row["threshold_high"]
            if low is None and high is None:
                bound = "–"
            elif low is not None and high is not None:
                bound = f"≠ {number(low)}" if low == high else f"{number(low)} to {number(high)}"
            else:
                bound = f"> {number(low)}" if high is None else f"< {number(high)}"
            claim = f"`{row['claim']}`<br>{row['statement']}"
            tested = "–" if row["p_value"] is None else f"{p_value(row['p_value'])} → {p_value(row['p_adjusted'])}"
            evidence = row["reason"]
            if row["sensitivity"] is not None:
                evidence += f"; the threshold is ours: {row['sensitivity']}"
            lines.append(
                [claim, row["statistic"].replace("|", "\\|"), number(row["value"]) + interval, bound, tested]
                + [f"**{row['verdict'].replace('_', ' ')}**", evidence.replace("|", "\\|")]
            )
        table(["claim", "statistic", "value [95 % interval]", "holds if", "p → corrected", "verdict", "evidence"], lines)


def over_seeds(frame, by, metrics):
    """Mean and standard deviation over seeds of each metric's mean in each seed."""
    each = frame.group_by("seed", *by).agg(pl.col(name).mean() for name in metrics)
    of = [pl.col(name).mean().alias(f"{name} mean") for name in metrics]
    of += [pl.col(name).std().alias(f"{name} sd") for name in metrics]
    return each.group_by(by).agg(of).sort(by)


def cell(row, metric):
    mean, deviation = row[f"{metric} mean"], row[f"{metric} sd"]
    return number(mean) if deviation is None else f"{number(mean)} ± {number(deviation)}"


def reference(artifacts, wanted):
    """Attention metrics over training in the last run, at the given steps or at eight of all."""
    heads = scan(artifacts, "head_metrics").collect()
    pairs = scan(artifacts, "layer_similarity").collect()
    losses = scan(artifacts, "evaluations").collect()
    for (dataset, run), rows in heads.group_by("dataset", "run", maintain_order=True):
        of = (pl.col("dataset") == dataset) & (pl.col("run") == run)
        alike = pairs.filter(of)
        if alike.is_empty() or run != heads.filter(pl.col("dataset") == dataset)["run"].max():
            continue
        seeds = rows["seed"].n_unique()
        steps = rows["step"].unique().sort().to_list()
        evenly = {steps[round(at * (len(steps) - 1) / (STEPS_SHOWN - 1))] for at in range(STEPS_SHOWN)}
        shown = sorted(wanted or evenly)
        print(f"## {dataset}, {run}: over training\n")
        print(f"Mean ± standard deviation over {seeds} seeds, each averaged over all heads or pairs of layers.\n")
        loss = over_seeds(losses.filter(of), ["step"], ["val_loss"])
        by_step = over_seeds(rows, ["step"], HEAD_METRICS).join(over_seeds(alike, ["step"], PAIR_METRICS), on="step")
        by_step = by_step.join(loss, on="step", how="left").filter(pl.col("step").is_in(shown)).sort("step")
        names = {"val_loss": "validation loss (nats)"} | HEAD_METRICS | PAIR_METRICS
        lines = [[label, *[cell(row, metric) for row in by_step.iter_rows(named=True)]] for metric, label in names.items()]
        table(["step", *[str(step) for step in by_step["step"]]], lines)
        print(f"## {dataset}, {run}: layer by layer, step {steps[-1]}\n")
        by_layer = over_seeds(rows.filter(pl.col("step") == steps[-1]), ["layer"], HEAD_METRICS)
        lines = [[label, *[cell(row, metric) for row in by_layer.iter_rows(named=True)]] for metric, label in HEAD_METRICS.items()]
        table(["layer", *[str(layer) for layer in by_layer["layer"]]], lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("page", choices=["findings", "reference"])
    arguments.add_argument("--artifacts", default="artifacts/laptop", help="folder of tables (default: %(default)s)")
    steps = lambda text: [int(step) for step in text.split(",")]
    arguments.add_argument("--steps", type=steps, help="steps to show, such as 0,64,512 (default: eight, evenly spaced)")
    arguments = arguments.parse_args()
    {"findings": findings, "reference": reference}[arguments.page](arguments.artifacts, arguments.steps)


if __name__ == "__main__":
    main()
