"""Attention in probe windows, from checkpoints; and what is computed of it, from the attention that is stored."""

import itertools

import numpy as np
import pandas as pd

from . import rows
from .gpt import Gpt
from .report import EXACT, FLOAT32, FLOAT64
from .store import Missing
from .texts import decode

HEAD = ["step", "layer", "head"]
HEAD_METRICS = ["entropy_nats", "normalized_entropy", "mean_distance", "span_90", "local_mass_3", "first_token_mass"]
HEAD_METRICS += ["self_mass", "previous_token_score", "duplicate_token_score", "induction_score"]
LAYER_METRICS = ["head_variance", "head_js_divergence", "dominant_head_share"]
SIMILARITIES = ["js_divergence", "js_similarity", "cosine_similarity", "centered_cosine_similarity"]


def verify(store, report, progress):
    for training in map(dict, store.trainings("attention")):
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
    tables = {"head_metrics": [], "layer_metrics": [], "layer_similarity": [], "head_outputs": []}
    for step in steps:
        progress(f"attention, {named(training)} step {step}")
        model = None
        if store.has("checkpoints", **training, step=step):
            keys = {**training, "step": step}
            model = Gpt(store.tensors(**keys), store.config("checkpoints", **keys))
        else:
            report.note(
                f"attention of {named(training)} is not held against a forward pass where no checkpoint is kept"
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
    """A `val` window is the text at its place in the validation split; a window's text is its symbols'."""
    split = store.read("corpus", dataset=training["dataset"], split="val")["token"].to_numpy()
    code_points = store.read("vocabulary", dataset=training["dataset"])["code_point"].to_numpy()
    texts = [decode(tokens, code_points) for tokens in windows["tokens"]]
    report.compare_equal("windows", "text", windows["text"], texts, named(training))
    for window in windows[windows["kind"] == "val"].itertuples():
        expected = split[window.start : window.start + len(window.tokens)]
        report.compare("windows", "tokens", window.tokens, expected, EXACT, named(training))
    for window in windows[windows["kind"] == "repeat"].itertuples():
        first, second = np.split(np.asarray(window.tokens, dtype=np.int64), 2)
        if len(set(first)) != len(first):
            report.fail(
                f"windows, {named(training)} window={window.window}: a symbol stands twice in the repeated block"
            )
        report.compare("windows", "tokens", second, first, EXACT, named(training))


def square(group):
    """A row group of `attention`: its window's number and its rows as [layer, head, query, key], 0 past the query."""
    layers, heads, queries = (int(group[name].to_numpy().max()) + 1 for name in ("layer", "head", "query"))
    weights = group["weights"].combine_chunks().flatten().to_numpy()
    dense = np.zeros((layers, heads, queries, queries), dtype=np.float32)
    dense[..., *np.tril_indices(queries)] = weights.reshape(layers, heads, -1)
    return group["window"][0].as_py(), dense


def forward(report, model, tokens, stored, where):
    """Holds stored rows against the model's; the norms [layer, head, query] of what the heads add."""
    norms = []
    for layer, (weights, added) in enumerate(model.attention(tokens)):
        lower = np.tril_indices(len(tokens))
        place = f"{where} layer={layer}"
        report.compare("attention", "weights", stored[layer][:, *lower], weights[0][:, *lower], FLOAT32, place)
        norms.append(added[0])
    return np.stack(norms)


class Snapshot:
    """Means over the windows of one step, as sums that grow."""

    def __init__(self, step, output_norms):
        self.step = step
        self.output_norms = output_norms
        self.queries = self.windows = self.induction_queries = 0
        self.heads, self.induction = {}, 0.0
        self.layers, self.pairs, self.outputs = {}, {}, None

    def add_outputs(self, norms, kind):
        if kind == "val":
            summed = norms[..., 1:].sum(axis=-1)
            self.outputs = summed if self.outputs is None else self.outputs + summed

    def add(self, attention, tokens, kind):
        """Adds one window's [layer, head, query, key]."""
        if kind == "repeat":
            masses, queries = rows.induction(attention)
            self.induction, self.induction_queries = self.induction + masses, self.induction_queries + queries
            return
        self.queries += len(tokens) - 1
        self.windows += 1
        for name, sums in rows.head_columns(attention, tokens).items():
            self.heads[name] = self.heads.get(name, 0.0) + sums
        inner = attention[..., 1:, :]
        variance = inner.var(axis=1).sum(axis=-1)
        divergence = rows.heads_js_divergence(inner.swapaxes(0, 1))
        for name, values in [("head_variance", variance), ("head_js_divergence", divergence)]:
            self.layers[name] = self.layers.get(name, 0.0) + values.sum(axis=-1)
        self.add_pairs(inner.mean(axis=1))

    def add_pairs(self, means):
        """Adds one window's similarities of the layers' mean attention [layer, query, key], the queries being i ≥ 1."""
        length = means.shape[-1]
        index = np.arange(length)
        causal = index[None, :] <= index[1:, None]
        centered = np.where(causal, means - 1 / (index[1:, None] + 1), 0.0)
        for a, b in itertools.combinations(range(len(means)), 2):
            sums = self.pairs.setdefault((a, b), np.zeros(3))
            sums += [
                rows.js_divergence(means[a], means[b]).sum(),
                cosine(means[a], means[b]),
                cosine(centered[a], centered[b]),
            ]

    def frames(self):
        """What the tables should have at this step."""
        tables = {}
        if self.queries:
            heads = {name: sums / self.queries for name, sums in self.heads.items()}
            known = self.induction_queries > 0
            some = next(iter(heads.values()))
            heads["induction_score"] = self.induction / self.induction_queries if known else np.full(some.shape, np.nan)
            heads["queries"] = np.full(some.shape, self.queries)
            tables["head_metrics"] = self.by_head(heads)
            layers = {name: sums / self.queries for name, sums in self.layers.items()}
            layers["dominant_head_share"] = dominant_share(self.output_norms.groupby("layer")["output_norm"]).to_numpy()
            tables["layer_metrics"] = pd.DataFrame({"step": self.step, "layer": np.arange(len(some)), **layers})
            pairs = [self.pair(*pair, sums) for pair, sums in self.pairs.items()]
            tables["layer_similarity"] = pd.DataFrame(pairs, columns=["step", "layer_a", "layer_b", *SIMILARITIES])
        if self.outputs is not None:
            tables["head_outputs"] = self.by_head({"output_norm": self.outputs / self.queries})
        return tables

    def by_head(self, columns):
        layer, head = np.indices(next(iter(columns.values())).shape)
        keys = {"step": self.step, "layer": layer.ravel(), "head": head.ravel()}
        return pd.DataFrame(keys | {name: values.ravel() for name, values in columns.items()})

    def pair(self, a, b, sums):
        divergence = sums[0] / self.queries
        return [self.step, a, b, divergence, 1 - divergence, *(sums[1:] / self.windows)]


def dominant_share(norms):
    """The largest head's share of each group's output norms; heads that add nothing share equally."""
    return (norms.max() / norms.sum()).where(norms.sum() > 0, 1 / norms.size())


def cosine(p, q):
    """The cosine of two arrays, each as one vector; 0 where a norm is 0. A norm that is rounding alone is 0 too."""
    norms = np.linalg.norm(p) * np.linalg.norm(q)
    return np.clip((p * q).sum() / norms, -1.0, 1.0) if norms > 1e-28 else 0.0


def compare(store, report, training, computed):
    columns = {
        "head_outputs": (HEAD, {"output_norm": FLOAT32}),
        "head_metrics": (HEAD, dict.fromkeys(HEAD_METRICS, FLOAT64) | {"queries": EXACT}),
        "layer_metrics": (["step", "layer"], dict.fromkeys(LAYER_METRICS, FLOAT64)),
        "layer_similarity": (["step", "layer_a", "layer_b"], dict.fromkeys(SIMILARITIES, FLOAT64)),
    }
    for table, frame in computed.items():
        # `layer_similarity` is written where it is asked for; the others wherever there is attention.
        if table == "layer_similarity" and not store.has(table, **training):
            continue
        keys, tolerances = columns[table]
        stored = store.read(table, **training)
        report.compare_frames(table, stored, frame, keys, tolerances, named(training), complete=table != "head_outputs")


def compare_baselines(store, report, training, windows):
    lengths = windows["tokens"].map(len)
    val, repeat = lengths[windows["kind"] == "val"], lengths[windows["kind"] == "repeat"]
    expected = rows.baselines(val.max(), repeat.max() // 2 if len(repeat) else None)
    frame = pd.DataFrame({"metric": expected.keys(), "value": expected.values()})
    stored = store.read("baselines", **training)
    report.compare_frames("baselines", stored, frame, ["metric"], {"value": FLOAT64}, named(training))
