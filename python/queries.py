"""The three questions of the program `query`, in Python, with the same answers from the same files.

    python python/queries.py entropy-by-layer --artifacts artifacts/laptop --dataset shakespeare_char
"""

import argparse
import sys

import polars as pl


def entropy_by_layer(head_metrics):
    return (
        head_metrics.group_by("step", "layer")
        .agg(pl.col("entropy_nats", "normalized_entropy").mean())
        .sort("step", "layer")
    )


def similarity(layer_similarity):
    return (
        layer_similarity.group_by("step", "layer_a", "layer_b")
        .agg(pl.col("js_similarity").mean())
        .sort("step", "layer_a", "layer_b")
    )


def quality(sample_scores, evaluations):
    val_loss = evaluations.group_by("step").agg(pl.col("val_loss").mean())
    return (
        sample_scores.group_by("step", "source")
        .agg(pl.len().alias("texts"), pl.col("quality").mean())
        .join(val_loss, on="step", how="left")
        .sort("step", "source")
    )


QUESTIONS = {
    "entropy-by-layer": (entropy_by_layer, ["head_metrics"]),
    "similarity": (similarity, ["layer_similarity"]),
    "quality": (quality, ["sample_scores", "evaluations"]),
}


def aligned(frame):
    """The whole frame as text, as the program `query` prints it."""

    def cell(value):
        return "null" if value is None else f"{value:.6f}" if isinstance(value, float) else str(value)

    columns = [[column.name, *map(cell, column)] for column in frame]
    widths = [max(map(len, column)) for column in columns]
    return "\n".join("  ".join(f"{text:>{width}}" for text, width in zip(row, widths)) for row in zip(*columns))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("question", choices=QUESTIONS)
    arguments.add_argument("--artifacts", default="artifacts/laptop")
    arguments.add_argument("--dataset", default="shakespeare_char")
    arguments.add_argument("--run", default="run_3")
    given = arguments.parse_args()
    question, tables = QUESTIONS[given.question]
    of = (pl.col("dataset") == given.dataset) & (pl.col("run") == given.run)
    answer = question(*(pl.scan_parquet(f"{given.artifacts}/{table}").filter(of) for table in tables)).collect()
    if answer.is_empty():
        sys.exit(f"error: {given.artifacts} has no rows of the dataset {given.dataset} and the run {given.run}")
    print(aligned(answer))


if __name__ == "__main__":
    main()
