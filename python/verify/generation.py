"""Attention during generation: the stored checkpoints process the stored samples again."""

import numpy as np
import pandas as pd

from . import rows
from .gpt import Gpt
from .report import FLOAT32
from .store import Missing
from .texts import validation_windows

METRICS = ["entropy_nats", "normalized_entropy", "mean_distance", "first_token_mass", "output_norm"]
# Contexts per batch.
BATCH = 32
# Multiplications up to which a training's samples are recomputed at every step, not only at the last one: about half a
# minute on one core.
AFFORDABLE = 2e11


def verify(store, report, progress, every_step=False):
    for keys in store.own("sample_attention"):
        try:
            verify_training(store, report, progress, keys, every_step)
        except Missing as missing:
            report.note(f"sample_attention of {keys} is not verified: {missing}")


def verify_training(store, report, progress, keys, every_step):
    where = f"{keys['dataset']} {keys['run']} seed={keys['seed']}"
    stored = store.read("sample_attention", **keys)
    layers = store.read("sample_layers", **keys) if store.has("sample_layers", **keys) else None
    kept, config_of = store.read("generated_attention", **keys), store.config("generated_attention", **keys)
    samples = store.read("samples", **keys)
    steps = sorted(stored["step"].unique())
    last = steps[-1]
    config = store.config("checkpoints", **keys, step=int(steps[-1]))
    if not every_step and 2 * cost(samples, config) > AFFORDABLE and len(steps) > 1:
        alone = f"only the last of {len(steps)} steps, {steps[-1]} (--every-step: all)"
        report.note(f"sample_attention, generated_attention and sample_layers of {where}: {alone}")
        steps = steps[-1:]
    is_kept = (samples["sample"] < config_of["kept_samples"]) & ((samples["step"] == last) | (config_of["kept_steps"] == "snapshots"))
    found, expected = (set(zip(rows["step"], rows["sample"])) for rows in (kept, samples[is_kept]))
    if found != expected:
        report.fail(f"generated_attention, {where}: it has the samples {sorted(found)[:5]} …, not {sorted(expected)[:5]} …")
    for step in map(int, steps):
        if not store.has("checkpoints", **keys, step=step):
            report.note(f"sample_attention of {where} step={step} is not verified: its checkpoint is not kept")
            continue
        model = Gpt(store.tensors(**keys, step=step), store.config("checkpoints", **keys, step=step))
        of_step, from_step = stored[stored["step"] == step], samples[samples["step"] == step]
        policy = from_step["context_policy"].iloc[0]
        frames, pairs = [], []
        for source, sample, prompt, tokens in texts(store, keys["dataset"], from_step, of_step):
            progress(f"attention during generation, {where} step {step} {source} {sample}")
            heads, adjacent = recomputed(model, tokens, prompt, policy)
            frames.append(heads.assign(source=source, sample=sample))
            if source == "model":
                pairs.append(adjacent.assign(sample=sample))
                of_sample = kept[(kept["step"] == step) & (kept["sample"] == sample)]
                if (step, sample) in expected:
                    compare_kept(report, model, of_sample, (tokens, prompt, policy), f"{where} step={step} sample={sample}")
        names, tolerances = ["source", "sample", "layer", "head"], dict.fromkeys(METRICS, FLOAT32)
        report.compare_frames("sample_attention", of_step, pd.concat(frames), names, tolerances, f"{where} step={step}")
        if layers is not None:
            of_step, names = layers[layers["step"] == step], ["sample", "layer_a", "layer_b"]
            tolerances = {"js_divergence": FLOAT32}
            report.compare_frames("sample_layers", of_step, pd.concat(pairs), names, tolerances, f"{where} step={step}")


def texts(store, dataset, samples, stored):
    """The model's input, as (source, sample, length of the prompt, tokens): each sample after its prompt; and evenly spaced
    `validation` windows, those of the scores, after the same prompt, as many as are stored."""
    for sample in samples.itertuples():
        prompt = sample.prompt_tokens
        yield "model", sample.sample, len(prompt), np.concatenate([prompt, sample.tokens]).astype(np.int64)
    val = store.read("corpus", dataset=dataset, split="val")["token"].to_numpy()
    count = stored[stored["source"] == "validation"]["sample"].nunique()
    windows = validation_windows(val, len(sample.tokens))
    for at in range(count):
        window = windows[at * len(windows) // count]
        yield "validation", at, len(prompt), np.concatenate([prompt, window]).astype(np.int64)


def cost(samples, config):
    """Multiplications of processing all samples once: each character beyond block_size takes a whole block."""
    block, embd = config["block_size"], config["n_embd"]
    blocks = sum(max(len(tokens) - block, 0) + 1 for tokens in samples["tokens"])
    return blocks * block * config["n_layer"] * (12 * embd**2 + 2 * block * embd)


def contexts(length, prompt, block, policy):
    """The model's contexts: (first character, first and last position whose rows predicted a character). The rows that
    predicted the sample's characters are those of the positions `prompt − 1` to `length − 2`. `exact`: beyond block_size,
    the last `block` characters are recomputed for each prediction. `rollover`: when the block is full, its last `block / 2`
    characters start a new one."""
    first, end = prompt - 1, length - 1
    # With `rollover`, a prompt beyond the block has rolled over too.
    position = first if policy == "exact" else 0
    start = max(0, position + 1 - block)
    while position < end:
        last = min(start + block - 1, end - 1)
        if last >= first:
            yield start, max(position, first), last
        position = last + 1
        start = position + 1 - (block if policy == "exact" else max(block // 2, 1))


def recomputed(model, tokens, prompt, policy):
    """The metrics of each head, and of each pair of adjacent layers, over the rows that predicted a sample's
    characters, without rows of a one-character context."""
    head_sums, pair_sums, count = 0.0, 0.0, 0
    whole = list(contexts(len(tokens), prompt, model.block, policy))
    last_rows = [(start, first) for start, first, last in whole if first == last == start + model.block - 1]
    for start, first, last in whole:
        if first == last == start + model.block - 1:
            continue
        first_row = max(first - start, 1)
        layers = model.attention(tokens[start : last + 1])
        heads, pairs, rows_summed = summed((w[:, :, first_row:], n[:, :, first_row:]) for w, n in layers)
        head_sums, pair_sums, count = head_sums + heads, pair_sums + pairs, count + rows_summed
    for batch in range(0, len(last_rows), BATCH):
        windows = np.stack([tokens[start : at + 1] for start, at in last_rows[batch : batch + BATCH]])
        heads, pairs, rows_summed = summed(model.attention(windows, last_row=True))
        head_sums, pair_sums, count = head_sums + heads, pair_sums + pairs, count + rows_summed
    # With a block_size of 1, no row has more than one key.
    means = head_sums / count if count else np.full((len(METRICS), model.layers, model.heads), np.nan)
    columns = np.moveaxis(means, 0, -1)
    layer, head = np.indices(columns.shape[:2])
    heads = pd.DataFrame(columns.reshape(-1, len(METRICS)), columns=METRICS)
    heads["layer"], heads["head"] = layer.ravel(), head.ravel()
    adjacent = pd.DataFrame({"layer_a": np.arange(model.layers - 1), "layer_b": np.arange(1, model.layers)})
    adjacent["js_divergence"] = pair_sums / count if count else np.nan
    return heads, adjacent


def compare_kept(report, model, stored, text, where):
    """Compares the rows of a sample that is kept: all of its tokens, layers and heads, in that order."""
    tokens, prompt, policy = text
    keys, weights = [], []
    for start, first, last in contexts(len(tokens), prompt, model.block, policy):
        layers = [of_layer[0] for of_layer, _ in model.attention(tokens[start : last + 1])]
        for query in range(first, last + 1):
            at = query - start
            for layer, head in np.ndindex(model.layers, model.heads):
                keys.append((query + 1 - prompt, layer, head))
                weights.append(layers[layer][head, at, : at + 1])
    found = list(zip(stored["position"], stored["layer"], stored["head"]))
    if found != keys or [len(row) for row in stored["weights"]] != [len(row) for row in weights]:
        report.fail(f"generated_attention, {where}: its rows are not those of the sample's tokens, layers and heads")
        return
    report.compare("generated_attention", "weights", np.concatenate(list(stored["weights"])), np.concatenate(weights), FLOAT32, where)


def summed(layers):
    """Sums over rows [text, head, row, key] of the metrics [metric, layer, head] and of the divergences of adjacent layers,
    and the number of rows."""
    sums, pairs, below, count = [], [], None, 0
    for weights, norms in layers:
        length, row_count = weights.shape[-1], weights.shape[-2]
        query = np.arange(length - row_count, length)
        distance = np.maximum(query[:, None] - np.arange(length)[None, :], 0)
        nats = rows.entropy(weights)
        values = [
            nats,
            nats / np.log(query + 1),
            (weights * distance).sum(axis=-1),
            weights[..., 0],
            norms,
        ]
        sums.append([value.sum(axis=(0, 2)) for value in values])
        mean = weights.mean(axis=1)
        if below is not None:
            pairs.append(rows.js_divergence(below, mean).sum())
        below, count = mean, weights.shape[0] * row_count
    return np.array(sums).swapaxes(0, 1), np.array(pairs), count
