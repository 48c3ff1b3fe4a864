"""Losses over whole splits, from the stored checkpoints."""

import math

import numpy as np
from scipy.special import logsumexp

from .gpt import Gpt
from .report import EXACT, FLOAT32, FLOAT64
from .store import Missing
from .texts import Symbols

# Windows per batch.
BATCH = 256
# Multiplications of one checkpoint up to which its losses are recomputed: about half a minute on one core.
AFFORDABLE = 2e11


def verify(store, report, progress):
    for keys in store.own("split_losses"):
        where = " ".join(map(str, keys.values()))
        progress(f"losses over whole splits, {where}")
        stored = store.read("split_losses", **keys)
        symbols = Symbols(store.read("vocabulary", dataset=keys["dataset"]))
        for row in stored.itertuples():
            tokens = store.read("corpus", dataset=keys["dataset"], split=row.split)["token"].to_numpy()
            raw = len(symbols.raw(tokens[1:]))
            for name, found, computed, tolerance in [
                ("tokens", row.tokens, len(tokens) - 1, EXACT),
                ("bytes", row.bytes, raw, EXACT),
                ("bits_per_symbol", row.bits_per_symbol, row.loss_nats / math.log(2), FLOAT64),
                ("bits_per_byte", row.bits_per_byte, row.loss_nats / math.log(2) * (len(tokens) - 1) / raw, FLOAT64),
            ]:
                report.compare("split_losses", name, [found], [computed], tolerance, f"{where} {row.split}")
            try:
                verify_loss(store, report, keys, row, tokens, f"{where} step={row.step} {row.split}")
            except Missing as missing:
                report.note(f"split_losses of {where} is not verified: {missing}")


def verify_loss(store, report, keys, row, tokens, where):
    config = store.config("checkpoints", **keys, step=row.step)
    block, embd = config["block_size"], config["n_embd"]
    passes = len(tokens) * max(block / row.stride, 1)
    if passes * config["n_layer"] * (12 * embd**2 + 2 * block * embd) > AFFORDABLE:
        report.note("split_losses: `loss_nats` is not recomputed where it takes long")
        return
    model = Gpt(store.tensors(**keys, step=row.step), config)
    window = min(block, len(tokens) - 1)
    report.compare("split_losses", "window", [row.window], [window], EXACT, where)
    losses = token_losses(model, tokens.astype(np.int64), window, row.stride)
    report.compare("split_losses", "loss_nats", [row.loss_nats], [losses.mean()], FLOAT32, where)


def token_losses(model, tokens, window, stride):
    """The cross-entropy of every token but the first, from the window that ends at most `stride` tokens after it and starts
    `window` tokens before its end."""
    positions = len(tokens) - 1
    ends = np.minimum(np.arange(window, positions + stride, stride), positions)
    losses = np.full(positions, np.nan)
    for batch in range(0, len(ends), BATCH):
        index = ends[batch : batch + BATCH, None] - window + np.arange(window)
        logits = model.logits(tokens[index])
        chosen = np.take_along_axis(logits, tokens[index + 1][..., None], axis=-1)[..., 0]
        found = logsumexp(logits, axis=-1) - chosen
        # The last window is moved back: what the one before it predicts stays.
        for row, loss in zip(index, found):
            fresh = np.isnan(losses[row])
            losses[row[fresh]] = loss[fresh]
    return losses
