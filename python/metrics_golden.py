"""Writes the golden numbers that the tests of the stages `metrics` and `generate` compare with.

They are the expected columns of the tables of `metrics` for a few attention rows, from nearly uniform to one-hot, and the
expected scores of a few texts, from ordinary to empty. The package `verify` computes them, whose formulas are written from
their definitions and share no code with the Rust.

    python python/metrics_golden.py   # writes attention.json and texts.json into the stages' tests/golden
"""

import json
import math
import random
from pathlib import Path

import numpy as np
import pandas as pd
from verify import rows, texts
from verify.snapshots import Snapshot

ROOT = Path(__file__).resolve().parent.parent
ATTENTION = ROOT / "stages/metrics/tests/golden/attention.json"
TEXTS = ROOT / "stages/generate/tests/golden/texts.json"


def main():
    generator = np.random.default_rng(20)
    cases = [
        attention_case(generator, layers=2, heads=3, length=12, val=2, block=6, repeat=1),
        attention_case(generator, layers=1, heads=1, length=2, val=1, block=1, repeat=1),
        # An odd window, longer than a vector register, and the small blocks of a small alphabet.
        attention_case(generator, layers=1, heads=2, length=33, val=2, block=5, repeat=3),
        attention_case(generator, layers=3, heads=2, length=9, val=3, block=4, repeat=0),
        attention_case(generator, layers=2, heads=2, length=2, val=3, block=1, repeat=2),
    ]
    write(ATTENTION, {"cases": cases})
    write(TEXTS, texts_case(random.Random(20)))


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(lines(value) + "\n")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


def lines(value, indent=0):
    """JSON with a line for each innermost list or object."""
    inner = value.values() if isinstance(value, dict) else value
    if not any(isinstance(item, dict | list) for item in inner):
        return json.dumps(value, ensure_ascii=False)
    pad = " " * (indent + 1)
    if isinstance(value, dict):
        items = [f"{pad}{json.dumps(key)}: {nested(item, indent + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + "\n" + " " * indent + "}"
    return "[\n" + ",\n".join(pad + nested(item, indent + 1) for item in value) + "\n" + " " * indent + "]"


def nested(value, indent):
    return lines(value, indent) if isinstance(value, dict | list) else json.dumps(value, ensure_ascii=False)


# ── Attention ──


def attention_case(generator, layers, heads, length, val, block, repeat):
    """`val` windows of random symbols and `repeat` windows of a block twice. The first head of the first layer
    attends only to the previous character, the second uniformly; the others have random rows, some sharp and some flat, with
    exact zeros."""
    snapshot = Snapshot(0, output_norms(generator, layers, heads))
    windows = []
    for number in range(val + repeat):
        kind = "val" if number < val else "repeat"
        repeated = np.tile(generator.permutation(block + 2)[:block], 2)
        tokens = generator.integers(0, 4, length) if kind == "val" else repeated
        stored = random_rows(generator, layers, heads, len(tokens))
        stored[0, 0] = np.eye(len(tokens), k=-1)
        stored[0, 0, 0, 0] = 1.0
        if heads > 1:
            stored[0, 1] = np.tri(len(tokens)) / np.arange(1, len(tokens) + 1)[:, None]
        snapshot.add(rows.renormalized(stored), tokens, kind)
        weights = [[[shortest(row[: at + 1]) for at, row in enumerate(head)] for head in layer] for layer in stored]
        windows.append({"kind": kind, "tokens": tokens.tolist(), "attention": weights})
    expected = {table: records(frame.drop(columns="step")) for table, frame in snapshot.frames().items()}
    half = block if repeat else None
    return {
        **{"layers": layers, "heads": heads, "windows": windows},
        "output_norms": records(snapshot.output_norms),
        **expected,
        "baselines": rows.baselines(length, half),
    }


def random_rows(generator, layers, heads, length):
    """Float32 attention [layer, head, query, key]."""
    sharpness = generator.choice([0.5, 3.0, 12.0], (layers, heads, length, 1))
    weights = np.exp(sharpness * generator.random((layers, heads, length, length)))
    weights *= (generator.random(weights.shape) > 0.15) | np.eye(length, dtype=bool)
    weights *= np.tri(length)
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


def output_norms(generator, layers, heads):
    layer, head = np.indices((layers, heads))
    norms = generator.random((layers, heads)).round(3)
    return pd.DataFrame({"layer": layer.ravel(), "head": head.ravel(), "output_norm": norms.ravel()})


def shortest(row):
    """The shortest decimals that round to these float32."""
    return [float(str(value)) for value in row.astype(np.float32)]


def records(frame):
    """A frame's rows, NaN as null."""
    rows_of = frame.to_dict("records")
    return [{name: None if isinstance(x, float) and math.isnan(x) else x for name, x in row.items()} for row in rows_of]


# ── Texts ──

WORDS = "the king and queen of night came to a crown that was not theirs über straße été o ill met by moonlight".split()


def texts_case(generator):
    train = sentence(generator, WORDS, 3000)
    space = pd.DataFrame(
        {
            "word": WORDS[:14],
            "idf": [1 + round(generator.random() * 3, 3) for _ in WORDS[:14]],
            "loadings": [[round(generator.gauss(0, 0.3), 3) for _ in range(4)] for _ in WORDS[:14]],
        }
    )
    misspelt = ["".join(generator.sample(word, len(word))) for word in WORDS]
    scored = [("validation", sentence(generator, WORDS + misspelt[:3], 260)) for _ in range(4)]
    scored += [
        ("model", sentence(generator, WORDS + misspelt, 260)),
        ("model", train[500:760]),
        ("model", "to be or not " * 20),
        ("model", "a" * 149),
        ("model", "a" * 150),
        ("model", "?! 1623, 1599. " * 14),
        ("model", "the king"),
        ("model", "Straße ÜBER Été: o a i, 1st"),
        ("model", "x"),
        ("model", ""),
    ]
    symbols = sorted(set(train).union(*(text for _, text in scored)))
    known = texts.Known(map(texts.Text.of, [train[:1000], train[1000:]]), [texts.Text.of(text) for _, text in scored])
    semantics = texts.SemanticSpace(space)
    frame = pd.DataFrame([{"source": source, **texts.scores(texts.Text.of(text), known, semantics)} for source, text in scored])
    frame["quality"] = texts.quality(frame)
    expected = records(frame.drop(columns="source"))
    return {
        **{"symbols": "".join(symbols), "train": train, "space": space.to_dict("records")},
        "texts": [{"source": source, "text": text, "scores": row} for (source, text), row in zip(scored, expected)],
    }


def sentence(generator, words, length):
    text = ""
    while len(text) < length:
        word = generator.choice(words)
        text += (word.capitalize() if generator.random() < 0.1 else word) + generator.choice(
            [" ", " ", " ", ", ", ".\n"]
        )
    return text[:length]


if __name__ == "__main__":
    main()
