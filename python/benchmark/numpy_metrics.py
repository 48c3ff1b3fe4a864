"""The baseline for `metrics`: the same numbers from the same file in vectorised NumPy, a window at a time, as in a notebook:
a dense array [layer, head, query, key] in float64.

    python -m benchmark.numpy_metrics attention.parquet windows.parquet
"""

import sys
import time

import numpy as np
import pyarrow.parquet as pq


def entropy(rows):
    """Entropy over the last axis; masked and zero weights count as 0."""
    logarithms = np.log(rows, out=np.zeros_like(rows), where=rows > 0)
    return -np.einsum("...k,...k->...", rows, logarithms)


def dense(table, layers, heads, length):
    """[layer, head, query, key] from the stored triangles, each row normalized to sum to one."""
    square = np.zeros((layers * heads, length, length))
    triangle = np.tri(length, dtype=bool)
    square[:, triangle] = table["weights"].combine_chunks().values.to_numpy().reshape(layers * heads, -1)
    square /= square.sum(axis=-1, keepdims=True)
    return square.reshape(layers, heads, length, length)


def val(square, tokens):
    """Sums over all queries but the first: by head, by layer, by pair of layers."""
    layers, _, length, _ = square.shape
    index = np.arange(length)
    rows, keys = square[:, :, 1:], index[1:] + 1
    distance = index[1:, None] - index
    nats = entropy(rows)
    # Cumulative attention by distance, nearest first: the row reversed; keys after the query have zero.
    near = np.cumsum(rows[..., ::-1], axis=-1)
    same = (tokens[1:, None] == tokens) & (distance > 0)
    weighted = lambda factors: np.einsum("lhqk,qk->lhq", rows, factors.astype(np.float64))
    by_head = [
        nats,
        nats / np.log(keys),
        weighted(np.maximum(distance, 0)),
        (near >= 0.9 - 1e-9).argmax(axis=-1) - (length - 1 - index[1:]),
        weighted((distance >= 0) & (distance <= 2)),
        rows[..., 0],
        square[:, :, index[1:], index[1:]],
        square[:, :, index[1:], index[:-1]],
        weighted(same),
    ]
    mean = rows.mean(axis=1)
    of_mean = entropy(mean)
    # The mean of squares minus the square of the mean.
    variance = np.einsum("lhqk,lhqk->lq", rows, rows) / rows.shape[1] - np.einsum("lqk,lqk->lq", mean, mean)
    divergence = (of_mean - nats.mean(axis=1)) / np.log(2)
    centered = np.where(distance >= 0, mean - 1 / keys[:, None], 0.0)
    like, like_centered = cosines(mean), cosines(centered)
    pairs = []
    for a in range(layers):
        for b in range(a + 1, layers):
            mixture = entropy((mean[a] + mean[b]) / 2)
            pairs.append((
                ((mixture - (of_mean[a] + of_mean[b]) / 2) / np.log(2)).sum(),
                like[a, b],
                like_centered[a, b],
            ))  # fmt: skip
    return [column.sum(axis=-1) for column in by_head], [variance.sum(axis=-1), divergence.sum(axis=-1)], pairs


def cosines(layers):
    """Cosine similarity of every pair of layers, [layer, layer]."""
    flat = layers.reshape(len(layers), -1)
    products = flat @ flat.T
    return products / np.sqrt(np.outer(products.diagonal(), products.diagonal()))


def repeat(square):
    """Sum over the queries of the second copy of the attention to what followed the first copy of the current character."""
    half = square.shape[-1] // 2
    queries = np.arange(half, 2 * half)
    return square[:, :, queries, queries - half + 1].sum(axis=-1)


def main(attention, windows):
    started = time.perf_counter()
    file = pq.ParquetFile(attention)
    probes = pq.read_table(windows).to_pylist()
    for group, probe in enumerate(probes):
        table = file.read_row_group(group)
        layers, heads = (table[column][-1].as_py() + 1 for column in ("layer", "head"))
        square = dense(table, layers, heads, len(probe["tokens"]))
        if probe["kind"] == "val":
            val(square, np.array(probe["tokens"]))
        else:
            repeat(square)
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main(*sys.argv[1:])
