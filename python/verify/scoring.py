"""Samples and their scores, from the corpus and the semantic space."""

import pandas as pd

from .report import FLOAT64
from .store import Missing
from .texts import SCORES, Known, SemanticSpace, Symbols, quality, scores, validation_windows

CHARACTERS = 1_000_000


def verify(store, report, progress):
    for dataset in dict.fromkeys(keys["dataset"] for keys in store.partitions("samples")):
        try:
            verify_dataset(store, report, progress, dataset)
        except Missing as missing:
            report.note(f"texts of dataset={dataset} are not verified: {missing}")


def verify_dataset(store, report, progress, dataset):
    symbols = Symbols(store.read("vocabulary", dataset=dataset))
    trainings = [keys for keys in store.partitions("samples") if keys["dataset"] == dataset]
    samples = {}
    for keys in trainings:
        samples[keys["run"], keys["seed"]] = frame = store.read("samples", **keys)
        for name, tokens in ("text", "tokens"), ("prompt", "prompt_tokens"):
            report.compare_equal("samples", name, frame[name], map(symbols.text, frame[tokens]), f"{keys}")
    scored = [keys for keys in trainings if store.has("sample_scores", **keys)]
    if not scored:
        return
    progress(f"texts of {dataset} in its train split")
    val = store.read("corpus", dataset=dataset, split="val")["token"].to_numpy()
    lengths = {keys["run"]: len(samples[keys["run"], keys["seed"]]["tokens"].iloc[0]) for keys in scored}
    real = {
        length: [symbols.read(window) for window in validation_windows(val, length)]
        for length in set(lengths.values())
    }
    of_models = {symbols.read(tokens) for keys in scored for tokens in samples[keys["run"], keys["seed"]]["tokens"]}
    parts = (batch["token"].to_numpy() for batch in train_batches(store, dataset))
    known = Known(symbols.read_parts(parts), of_models.union(*real.values()))
    space = SemanticSpace(store.read("semantic_space", dataset=dataset))
    references = {
        length: pd.DataFrame([{"sample": at, **scores(text, known, space)} for at, text in enumerate(texts)])
        for length, texts in real.items()
    }
    for keys in scored:
        progress(f"scores of {keys['dataset']} {keys['run']} seed {keys['seed']}")
        frame = samples[keys["run"], keys["seed"]]
        models = pd.DataFrame([scores(symbols.read(tokens), known, space) for tokens in frame["tokens"]])
        models[["step", "sample"]] = frame[["step", "sample"]]
        stored = store.read("sample_scores", **keys)
        verify_scores(report, stored, models, references[lengths[keys["run"]]], " ".join(map(str, keys.values())))


def train_batches(store, dataset):
    return store.file("corpus", dataset=dataset, split="train").iter_batches(batch_size=CHARACTERS)


def verify_scores(report, stored, models, references, where):
    tolerances = dict.fromkeys(SCORES, FLOAT64)
    of_model = stored[stored["source"] == "model"]
    report.compare_frames("sample_scores", of_model, models, ["step", "sample"], tolerances, f"{where} model")
    real = stored[stored["source"] == "validation"]
    report.compare_frames("sample_scores", real, references, ["sample"], tolerances, f"{where} validation")
    # Shuffling keeps the number of distinct characters.
    shuffled = stored[stored["source"] == "shuffled"]
    one = references[["sample", "distinct_1"]]
    report.compare_frames("sample_scores", shuffled, one, ["sample"], {"distinct_1": FLOAT64}, f"{where} shuffled")
    report.compare("sample_scores", "quality", stored["quality"], quality(stored), FLOAT64, where)
    report.note(
        "sample_scores: the `shuffled` and `trigram` texts are not stored: only quality and distinct_1 (shuffled)"
    )
