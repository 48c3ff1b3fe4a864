"""Formulas of attention rows: arrays whose last axis is the key and, where stated, whose last but one is the query."""

import numpy as np
from scipy.special import entr


def renormalized(weights):
    """Stored float32 rows in float64, renormalized to sum to 1."""
    weights = np.asarray(weights, dtype=np.float64)
    return weights / weights.sum(axis=-1, keepdims=True)


def entropy(rows):
    """H = −Σ_j A[i,j] ln A[i,j]."""
    return entr(rows).sum(axis=-1)


def by_distance(square):
    """[…, query i, distance d] from [query, key]: A[i, i−d], 0 if there is no such key."""
    length = square.shape[-1]
    query, distance = np.indices((length, length))
    aligned = np.take_along_axis(square, np.broadcast_to(np.maximum(query - distance, 0), square.shape), axis=-1)
    return np.where(distance <= query, aligned, 0.0)


def span_90(aligned):
    """The smallest `d` with `Σ_{i−j≤d} A[i,j] ≥ 0.9 − 1e-9`, of rows by distance."""
    return (np.cumsum(aligned, axis=-1) >= 0.9 - 1e-9).argmax(axis=-1).astype(np.float64)


def js_divergence(p, q):
    """JSD(P, Q) in bits: H((P + Q) / 2) − (H(P) + H(Q)) / 2."""
    bits = (entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2) / np.log(2)
    return np.clip(bits, 0.0, 1.0)


def heads_js_divergence(heads):
    """The generalised divergence of [head, …] in bits: H(mean_h) − mean_h H."""
    bits = (entropy(heads.mean(axis=0)) - entropy(heads).mean(axis=0)) / np.log(2)
    return np.clip(bits, 0.0, np.log2(len(heads)))


def head_columns(square, tokens):
    """Each column of `head_metrics` for one `val` window [layer, head, query, key], summed over the queries i ≥ 1."""
    length = square.shape[-1]
    index = np.arange(length)
    rows, aligned = square[..., 1:, :], by_distance(square)[..., 1:, :]
    nats, most = entropy(rows), np.log(index[1:] + 1)
    earlier_same = (tokens[:, None] == tokens[None, :]) & (index[None, :] < index[:, None])
    columns = {
        "entropy_nats": np.clip(nats, 0.0, most),
        "normalized_entropy": np.clip(nats / most, 0.0, 1.0),
        "mean_distance": (aligned * index).sum(axis=-1),
        "span_90": span_90(aligned),
        "local_mass_3": aligned[..., :3].sum(axis=-1).clip(0.0, 1.0),
        "first_token_mass": rows[..., 0],
        "self_mass": aligned[..., 0],
        "previous_token_score": aligned[..., 1],
        "duplicate_token_score": (rows * earlier_same[1:]).sum(axis=-1).clip(0.0, 1.0),
    }
    return {name: values.sum(axis=-1) for name, values in columns.items()}


def induction(square):
    """For one `repeat` window [layer, head, query, key] of 2L characters: the sum of `A[i, i−L+1]` over `L ≤ i < 2L`, and
    the number of these queries, which is 0 if L < 2."""
    half = square.shape[-1] // 2
    if half < 2:
        return np.zeros(square.shape[:2]), 0
    queries = np.arange(half, 2 * half)
    return square[..., queries, queries - half + 1].sum(axis=-1), half


def baselines(length, half):
    """Each metric of uniform causal attention in windows of `length` characters; `half` is L of the `repeat` windows."""
    keys = np.arange(2, length + 1)
    known = {
        "entropy_nats": np.log(keys),
        "normalized_entropy": np.ones(len(keys)),
        "mean_distance": (keys - 1) / 2,
        # ⌈0.9 keys⌉ − 1 in integers, since 0.9 is not a float.
        "span_90": -(-9 * keys // 10) - 1,
        "local_mass_3": np.minimum(3, keys) / keys,
        "first_token_mass": 1 / keys,
        "self_mass": 1 / keys,
        "previous_token_score": 1 / keys,
    }
    if half is not None and half >= 2:
        known["induction_score"] = 1 / np.arange(half + 1, 2 * half + 1)
    return {metric: values.mean() for metric, values in known.items() if len(values)}
