"""Attention in probe windows, from checkpoints; and its metrics, from the stored attention."""

import itertools
from collections import defaultdict

import numpy as np
import pandas as pd
from contract import TABLES

from . import rows
from .gpt import Gpt
from .report import EXACT, FLOAT32, FLOAT64
from .store import Missing
from .texts import Symbols

HEAD = ["step", "layer", "head"]


def verify(store, report, progress):
    for training in map(dict, store.trainings("attention", "head_metrics")):
        steps = [keys["step"] for keys in store.partitions("attention") if keys.items() >= training.items()]
        try:
            verify_training(store, report, progress, training, steps)
        except Missing as missing:
            report.note(f"attention of {named(training)} is not verified: {missing}")


def named(keys):
    return " ".join(f"{key}={value}" for key, value in keys.items())


def verify_training(store, report, progress, training, steps):
    windows = store.read("windows", **training)
    compare_windows(store, report, training, windows)
    output_norms = store.read("head_outputs", **training)
    names = ["head_metrics", "layer_metrics", "layer_similarity", "attended_characters", "head_outputs"]
    tables = {name: [] for name in names}
    for step in steps:
        progress(f"attention, {named(training)} step {step}")
        model = None
        if store.has("checkpoints", **training, step=step):
            keys = {**training, "step": step}
            model = Gpt(store.tensors(**keys), store.config("checkpoints", **keys))
        else:
            report.note(
                f"attention of {named(training)} is not compared with a forward pass where no checkpoint is kept"
            )
        snapshot = Snapshot(step, output_norms[output_norms["step"] == step])
        file = store.file("attention", **training, step=step)
        for group in range(file.num_row_groups):
            number, stored = square(file.read_row_group(group))
            window = windows[windows["window"] == number].iloc[0]
            tokens = window["tokens"].astype(np.int64)
            if model is not None:
                where = f"{named(training)} step={step} window={number}"
                snapshot.add_outputs(forward(report, model, tokens, stored, where), window["kind"])
            snapshot.add(rows.renormalized(stored), tokens, window["kind"])
        for table, frame in snapshot.frames().items():
            tables[table].append(frame)
    compare(store, report, training, {table: pd.concat(frames) for table, frames in tables.items() if frames})
    compare_baselines(store, report, training, windows)


def compare_windows(store, report, training, windows):
    """Compares `val` windows with the validation split, and every window's text with its tokens."""
    split = store.read("corpus", dataset=training["dataset"], split="val")["token"].to_numpy()
    texts = map(Symbols(store.read("vocabulary", dataset=training["dataset"])).text, windows["tokens"])
    report.compare_equal("windows", "text", windows["text"], texts, named(training))
    for window in windows[windows["kind"] == "val"].itertuples():
        expected = split[window.start : window.start + len(window.tokens)]
        report.compare("windows", "tokens", window.tokens, expected, EXACT, named(training))
    for window in windows[windows["kind"] == "repeat"].itertuples():
        first, second = np.split(np.asarray(window.tokens, dtype=np.int64), 2)
        if len(set(first)) != len(first):
            report.fail(
                f"windows, {named(training)} window={window.window}: a symbol occurs twice in the repeated block"
            )
        report.compare("windows", "tokens", second, first, EXACT, named(training))


def square(group):
    """A row group of `attention`: its window and its rows as [layer, head, query, key], 0 for keys after the query."""
    layers, heads, queries = (int(group[name].to_numpy().max()) + 1 for name in ("layer", "head", "query"))
    weights = group["weights"].combine_chunks().flatten().to_numpy()
    dense = np.zeros((layers, heads, queries, queries), dtype=np.float32)
    dense[..., *np.tril_indices(queries)] = weights.reshape(layers, heads, -1)
    return group["window"][0].as_py(), dense


def forward(report, model, tokens, stored, where):
    """Compares stored rows with the model's; returns the norms [layer, head, query] of the heads' outputs."""
    norms = []
    for layer, (weights, added) in enumerate(model.attention(tokens)):
        lower = np.tril_indices(len(tokens))
        of_layer = f"{where} layer={layer}"
        report.compare("attention", "weights", stored[layer][:, *lower], weights[0][:, *lower], FLOAT32, of_layer)
        norms.append(added[0])
    return np.stack(norms)


class Snapshot:
    """The expected tables at one step: means over the rows of all windows, and their standard errors over windows."""

    def __init__(self, step, output_norms):
        self.step = step
        self.output_norms = output_norms
        self.heads, self.layers, self.pairs = (defaultdict(list) for _ in range(3))  # by name: (sums, rows) by window
        self.outputs, self.queries = None, 0
        self.attended, self.uniform = defaultdict(float), defaultdict(float)  # by token: summed over rows

    def add_outputs(self, norms, kind):
        if kind == "val":
            summed = norms[..., 1:].sum(axis=-1)
            self.outputs = summed if self.outputs is None else self.outputs + summed

    def add(self, attention, tokens, kind):
        """Adds one window's [layer, head, query, key]."""
        if kind == "repeat":
            self.heads["induction_score"].append(rows.induction(attention))
            return
        queries = len(tokens) - 1
        self.queries += queries
        for name, sums in rows.head_columns(attention, tokens).items():
            self.heads[name].append((sums, queries))
        uniform = np.tri(len(tokens)) / np.arange(1, len(tokens) + 1)[:, None]
        for token in set(tokens.tolist()):
            # The rows i ≥ 1 and the keys that are this token.
            self.attended[token] = self.attended[token] + attention[..., 1:, tokens == token].sum(axis=(-2, -1))
            self.uniform[token] += uniform[1:, tokens == token].sum()
        inner = attention[..., 1:, :]
        variance = inner.var(axis=1).sum(axis=-1)
        divergence = rows.heads_js_divergence(inner.swapaxes(0, 1))
        for name, values in [("head_variance", variance), ("head_js_divergence", divergence)]:
            self.layers[name].append((values.sum(axis=-1), queries))
        self.add_pairs(inner.mean(axis=1))

    def add_pairs(self, means):
        """Adds one window's similarities of the layers' mean attention [layer, query, key], the queries being i ≥ 1."""
        layers, queries, length = means.shape
        index = np.arange(length)
        causal = index[None, :] <= index[1:, None]
        centered = np.where(causal, means - 1 / (index[1:, None] + 1), 0.0)
        pairs = list(itertools.combinations(range(layers), 2))
        divergences = np.array([rows.js_divergence(means[a], means[b]).sum() for a, b in pairs])
        self.pairs["js_divergence"].append((divergences, queries))
        self.pairs["js_similarity"].append((queries - divergences, queries))
        for name, vectors in [("cosine_similarity", means), ("centered_cosine_similarity", centered)]:
            self.pairs[name].append((np.array([cosine(vectors[a], vectors[b]) for a, b in pairs]), 1))

    def frames(self):
        """What the tables should have at this step."""
        tables = {}
        if self.queries:
            layers, heads = self.heads["entropy_nats"][0][0].shape
            layer, head = np.indices((layers, heads))
            columns = over_windows(self.heads, (layers, heads), ["induction_score"])
            columns["queries"] = np.full((layers, heads), self.queries)
            tables["head_metrics"] = self.frame({"layer": layer, "head": head, **columns})
            columns = over_windows(self.layers, layers)
            columns["dominant_head_share"] = dominant_share(self.output_norms.groupby("layer")["output_norm"])
            tables["layer_metrics"] = self.frame({"layer": np.arange(layers), **columns})
            a, b = np.array(list(itertools.combinations(range(layers), 2)), dtype=int).reshape(-1, 2).T
            tables["layer_similarity"] = self.frame({"layer_a": a, "layer_b": b, **over_windows(self.pairs, len(a))})
            found = sorted(self.attended)
            layer_of, head_of, token_of = np.meshgrid(np.arange(layers), np.arange(heads), found, indexing="ij")
            share = np.stack([self.attended[token] for token in found], axis=-1) / self.queries
            uniform = np.broadcast_to([self.uniform[token] / self.queries for token in found], share.shape)
            columns = {"layer": layer_of, "head": head_of, "token": token_of, "share": share, "uniform_share": uniform}
            tables["attended_characters"] = self.frame(columns)
            if self.outputs is not None:
                norms = self.outputs / self.queries
                tables["head_outputs"] = self.frame({"layer": layer, "head": head, "output_norm": norms})
        return tables

    def frame(self, columns):
        return pd.DataFrame({"step": self.step} | {name: np.ravel(values) for name, values in columns.items()})


def over_windows(measures, shape, nullable=()):
    """Of each measure's (sums, rows) by window: the mean over all rows, and its standard error over windows, sd/√w of
    the windows' own means (ddof 1), NaN of one window. A nullable measure without rows is NaN."""
    columns = {}
    for name in [*measures, *(name for name in nullable if name not in measures)]:
        windows = [(sums, count) for sums, count in measures.get(name, []) if count]
        columns[name] = columns[f"{name}_stderr"] = np.full(shape, np.nan)
        if windows:
            columns[name] = sum(sums for sums, _ in windows) / sum(count for _, count in windows)
        if len(windows) > 1:
            means = np.stack([sums / count for sums, count in windows])
            columns[f"{name}_stderr"] = means.std(axis=0, ddof=1) / np.sqrt(len(windows))
    return columns


def dominant_share(norms):
    """The largest head's share of each group's output norms; equal shares if all norms are 0."""
    return (norms.max() / norms.sum()).where(norms.sum() > 0, 1 / norms.size())


def cosine(p, q):
    """The cosine of two arrays, each flattened; 0 if a norm is 0 or only rounding."""
    norms = np.linalg.norm(p) * np.linalg.norm(q)
    return np.clip((p * q).sum() / norms, -1.0, 1.0) if norms > 1e-28 else 0.0


def compare(store, report, training, computed):
    keys = {"layer_metrics": ["step", "layer"], "layer_similarity": ["step", "layer_a", "layer_b"]}
    keys["attended_characters"] = [*HEAD, "token"]
    for table, frame in computed.items():
        # `layer_similarity` is optional; the others are written wherever there is attention.
        if table == "layer_similarity" and not store.has(table, **training):
            continue
        key = keys.get(table, HEAD)
        tolerances = dict.fromkeys((name for name in TABLES[table][2] if name not in key), FLOAT64)
        if table == "head_metrics":
            tolerances["queries"] = EXACT
        if table == "head_outputs":
            tolerances["output_norm"] = FLOAT32
        stored = store.read(table, **training)
        report.compare_frames(table, stored, frame, key, tolerances, named(training), complete=table != "head_outputs")


def compare_baselines(store, report, training, windows):
    lengths = windows["tokens"].map(len)
    val, repeat = lengths[windows["kind"] == "val"], lengths[windows["kind"] == "repeat"]
    expected = rows.baselines(val.max(), repeat.max() // 2 if len(repeat) else None)
    frame = pd.DataFrame({"metric": expected.keys(), "value": expected.values()})
    stored = store.read("baselines", **training)
    report.compare_frames("baselines", stored, frame, ["metric"], {"value": FLOAT64}, named(training))
