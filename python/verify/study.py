"""A training's tables as series: each metric by step and layer, each outcome by step, and each sample's attention."""

import numpy as np
import pandas as pd
from contract import HEAD_MEASURES, LAYER_MEASURES, PAIR_MEASURES

ALL = -1  # instead of a layer: the mean over all layers
SAMPLE_METRICS = ["entropy_nats", "normalized_entropy", "mean_distance", "first_token_mass", "output_norm"]


def trainings(store, table, dataset, run):
    """The trainings of a run that the table has, by seed."""
    return [keys for keys in store.partitions(table) if keys["dataset"] == dataset and keys["run"] == run]


def metric_series(store, keys):
    """Each metric of attention as a frame: a row per step, a column per layer, and ALL for the mean over layers."""
    series = {}
    for table, columns in [("head_metrics", HEAD_MEASURES), ("layer_metrics", LAYER_MEASURES)]:
        if store.has(table, **keys):
            by_layer = store.read(table, **keys).groupby(["step", "layer"])[columns].mean()
            for name in columns:
                frame = by_layer[name].unstack("layer")
                frame[ALL] = frame.mean(axis=1, skipna=False)
                series[name] = frame
    if store.has("layer_similarity", **keys):
        pairs, of_heads = store.read("layer_similarity", **keys), series["entropy_nats"]
        for name in PAIR_MEASURES:
            series[name] = by_layer_in_pairs(pairs, name, "step", of_heads.columns)
    return series


def by_layer_in_pairs(pairs, name, key, layers):
    """The mean over all pairs of layers (ALL) and over the pairs that contain each layer; empty where there is only
    one."""
    columns = {}
    for layer in layers:
        containing = pairs[(layer == ALL) | (pairs["layer_a"] == layer) | (pairs["layer_b"] == layer)]
        columns[layer] = containing.groupby(key)[name].mean()
    return pd.DataFrame(columns)


def outcome_series(store, keys):
    """Validation loss, and the mean of each score of generated text, by step."""
    series = {"val_loss": store.read("evaluations", **keys).set_index("step")["val_loss"]}
    if store.has("sample_scores", **keys):
        scores = store.read("sample_scores", **keys)
        means = scores[scores["source"] == "model"].drop(columns=["source", "sample"]).groupby("step").mean()
        series |= {name: means[name] for name in means.columns}
    return series


def last_samples(store, keys):
    """The final checkpoint's samples: each metric of attention (a frame by sample, with a column per layer and ALL),
    the scores, and the rows of `sample_attention`."""
    attention = store.read("sample_attention", **keys)
    last = attention["step"].max()
    attention = attention[(attention["step"] == last) & (attention["source"] == "model")]
    metrics = {}
    for name in SAMPLE_METRICS:
        frame = attention.groupby(["sample", "layer"])[name].mean().unstack("layer")
        frame[ALL] = frame.mean(axis=1, skipna=False)
        metrics[name] = frame
    if store.has("sample_layers", **keys):
        pairs = store.read("sample_layers", **keys)
        layers = metrics["entropy_nats"].columns
        metrics["js_divergence"] = by_layer_in_pairs(pairs[pairs["step"] == last], "js_divergence", "sample", layers)
    scores = store.read("sample_scores", **keys)
    scores = scores[(scores["source"] == "model") & (scores["step"] == last)].set_index("sample")
    return metrics, scores.drop(columns=["step", "source"]), attention


def known(series):
    """A series as a dict, without nulls."""
    return series.dropna().to_dict()


def paired(x, y):
    """The values of two dicts at their common keys, as arrays."""
    keys = sorted(x.keys() & y.keys())
    return np.array([x[key] for key in keys], dtype=float), np.array([y[key] for key in keys], dtype=float)
