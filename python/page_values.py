"""Prints, as JSON, values of a folder of artifacts that the page must show: read from the Parquet, without any code of the pipeline.

The browser tests of the page compare them with what they find in its elements.

    python python/page_values.py artifacts/smoke
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from contract import HEAD_MEASURES, SCORES
from verify.store import Store


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", type=Path, help="folder of all tables")
    store = Store(parser.parse_args().artifacts)
    json.dump(values(store), sys.stdout)


def values(store):
    """Values of the last run with attention of the first dataset."""
    first = store.partitions("attention")[0]
    dataset = first["dataset"]
    of_dataset = [keys for keys in store.partitions("attention") if keys["dataset"] == dataset]
    run = of_dataset[-1]["run"]
    of_run = [keys for keys in of_dataset if keys["run"] == run]
    seeds = sorted({keys["seed"] for keys in of_run})
    steps = sorted({keys["step"] for keys in of_run})
    keys = {"dataset": dataset, "run": run, "seed": seeds[0]}
    middle = steps[len(steps) // 2]
    vocabulary = store.read("vocabulary", dataset=dataset)
    windows = store.read("windows", **keys)
    evaluations = store.read("evaluations", **keys)
    return {
        "dataset": dataset,
        "run": run,
        "seeds": [str(seed) for seed in seeds],
        "steps": steps,
        "middle": middle,
        "window": [vocabulary["symbol"][token] for token in windows["tokens"][0]],
        "val_loss": dict(zip(evaluations["step"].tolist(), evaluations["val_loss"].tolist())),
        "heads": heads(store.read("head_metrics", **keys)),
        "attention": {step: attention(store, **keys, step=step) for step in (steps[0], middle, steps[-1])},
        "attended": attended(store.read("attended_characters", **keys), vocabulary, steps[-1]),
        "similarity": similarity(store, dataset, run, seeds, steps[-1]),
        "sample": sample(store, dataset, seeds[0], middle),
        "generated": generated(store, dataset, seeds[0], vocabulary),
        "findings": findings(store.read("findings", dataset=dataset)),
        "notes": store.read("text_notes", dataset=dataset)["message"].tolist(),
        "splits": splits(store, dataset, run, seeds),
    }


def findings(frame):
    """Of each claim its verdict, and what it would take to decide it."""
    return [
        {
            "claim": row.claim,
            "verdict": row.verdict,
            "seeds_needed": None if np.isnan(row.seeds_needed) else int(row.seeds_needed),
            "sensitivity": row.sensitivity if isinstance(row.sensitivity, str) else None,
        }
        for row in frame.itertuples()
    ]


def splits(store, dataset, run, seeds):
    """By split, the mean over seeds of the loss in nats and in bits per symbol; none if it was not measured."""
    if not store.has("split_losses", dataset=dataset, run=run, seed=seeds[0]):
        return {}
    frames = [store.read("split_losses", dataset=dataset, run=run, seed=seed).set_index("split") for seed in seeds]
    measures = ["loss_nats", "bits_per_symbol"]
    return {split: [float(np.mean([frame.loc[split, name] for frame in frames])) for name in measures] for split in frames[0].index}


def heads(frame):
    """By step, head and metric; NaN as null."""
    found = {}
    for row in frame.to_dict("records"):
        metrics = {name: None if np.isnan(row[name]) else row[name] for name in HEAD_MEASURES}
        found.setdefault(row["step"], {})[f"L{row['layer']}H{row['head']}"] = metrics
    return found


def attention(store, **keys):
    """The lower triangle, row by row, of each head in the first window."""
    group = store.file("attention", **keys).read_row_group(0).to_pandas()
    return {f"L{layer}H{head}": np.concatenate(rows["weights"].to_list()).tolist() for (layer, head), rows in group.groupby(["layer", "head"])}


def attended(frame, vocabulary, step):
    """The ten largest shares of each head at a step."""
    found = {}
    for (layer, head), rows in frame[frame["step"] == step].groupby(["layer", "head"]):
        top = rows.sort_values("share", ascending=False, kind="stable").head(10)
        found[f"L{layer}H{head}"] = [[vocabulary["symbol"][row.token], row.share, row.uniform_share] for row in top.itertuples()]
    return found


def similarity(store, dataset, run, seeds, step):
    """`js_similarity` of each pair of layers at a step, mean over seeds; none if it was not measured."""
    if not store.has("layer_similarity", dataset=dataset, run=run, seed=seeds[0]):
        return None
    frames = [store.read("layer_similarity", dataset=dataset, run=run, seed=seed) for seed in seeds]
    pairs = [frame[frame["step"] == step].set_index(["layer_a", "layer_b"])["js_similarity"] for frame in frames]
    return [[int(a), int(b), float(value)] for (a, b), value in (sum(pairs) / len(pairs)).items()]


def of_last_run(store, table, dataset, seed):
    """The keys of a table of the last run that has it; none without any."""
    runs = [keys["run"] for keys in store.partitions(table) if keys["dataset"] == dataset]
    return {"dataset": dataset, "run": runs[-1], "seed": seed} if runs else None


def sample(store, dataset, seed, step):
    """The first scored sample at a step, with its scores; none without scores."""
    keys = of_last_run(store, "sample_scores", dataset, seed)
    if keys is None:
        return None
    texts, scores = store.read("samples", **keys), store.read("sample_scores", **keys)
    text = texts[(texts["step"] == step) & (texts["sample"] == 0)].iloc[0]
    row = scores[(scores["source"] == "model") & (scores["step"] == step) & (scores["sample"] == 0)].iloc[0]
    during = store.read("sample_attention", **keys)
    during = during[(during["source"] == "model") & (during["step"] == step) & (during["sample"] == 0)]
    return {
        "text": text["prompt"] + text["text"],
        "scores": {name: None if np.isnan(row[name]) else row[name] for name in SCORES},
        "heads": {f"L{row.layer}H{row.head}": row.normalized_entropy for row in during.itertuples()},
    }


def generated(store, dataset, seed, vocabulary):
    """The last token of the first sample whose attention was kept, with the weights of each head; none without any."""
    keys = of_last_run(store, "generated_attention", dataset, seed)
    if keys is None:
        return None
    rows, samples = store.read("generated_attention", **keys), store.read("samples", **keys)
    if rows.empty:
        return None
    step, sample, position = rows["step"].iloc[0], rows["sample"].iloc[0], rows["position"].max()
    of_token = rows[(rows["step"] == step) & (rows["sample"] == sample) & (rows["position"] == position)]
    text = samples[(samples["step"] == step) & (samples["sample"] == sample)].iloc[0]
    tokens = [*text["prompt_tokens"], *text["tokens"]]
    return {
        "step": int(step),
        "sample": int(sample),
        "position": int(position),
        "symbols": [vocabulary["symbol"][token] for token in tokens],
        "prompt": len(text["prompt_tokens"]),
        "heads": {f"L{row.layer}H{row.head}": row.weights.tolist() for row in of_token.itertuples()},
        "widest": max(map(len, rows["weights"])),
    }


if __name__ == "__main__":
    main()
