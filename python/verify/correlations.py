"""`correlations`: each attention metric against each outcome, once per seed, then over seeds."""

import math

import numpy as np
import pandas as pd

from . import statistics
from .report import EXACT, FLOAT64, Tolerance, label
from .store import Missing
from .study import ALL, known, last_samples, metric_series, outcome_series, paired, trainings

KEYS = ["scope", "x", "layer", "y"]
VALUES = ["pearson", "spearman", "spearman_low", "spearman_high", "partial_spearman"]
MONTE_CARLO = Tolerance(chance=True)


def verify(store, report, progress):
    for keys in store.partitions("correlations"):
        where = f"{keys['dataset']} {keys['run']}"
        progress(f"correlations of {where}")
        stored = store.read("correlations", **keys)
        stored["layer"] = stored["layer"].fillna(ALL).astype(int)
        draws = store.config("correlations", **keys)["permutations"]
        try:
            rows = training_rows(store, report, keys, draws) + generation_rows(store, keys, draws)
        except Missing as missing:
            report.note(f"correlations of {where} are not verified: {missing}")
            continue
        computed = pd.DataFrame(rows)
        tolerances = {"n": EXACT, "seeds": EXACT, **dict.fromkeys(VALUES, FLOAT64)}
        report.compare_frames("correlations", stored, computed, KEYS, tolerances, where)
        joined = computed.merge(stored, on=KEYS, suffixes=(" computed", ""))
        joined = joined[~joined["unknown"]].reset_index()
        stored_p, p_value, allowed = (joined[name].to_numpy() for name in ("p_value", "p_value computed", "allowed"))
        report.compare(
            *("correlations", "p_value", stored_p, p_value, MONTE_CARLO, where, allowed),
            places=lambda at: f"{where}, {label(joined.iloc[at], KEYS)}",
        )
        q_value = statistics.benjamini_hochberg(stored["p_value"])
        report.compare("correlations", "q_value", stored["q_value"], q_value, FLOAT64, where)


def row(scope, x, layer, y, pairs):
    """The columns that both scopes have. `pairs` are arrays (x, y) of each seed. Seeds without a correlation are left out,
    unless no seed has one."""
    used = correlated(pairs)
    mean, low, high = statistics.correlations_over_seeds(used)
    pearson = np.mean([statistics.pearson(*pair) for pair in used]) if used else np.nan
    return {
        **{"scope": scope, "x": x, "layer": layer, "y": y},
        **{"n": sum(len(pair[0]) for pair in used or pairs), "seeds": len(used)},
        **{"pearson": pearson, "spearman": mean, "spearman_low": low, "spearman_high": high},
        # `allowed`: the tolerance of p_value; `unknown`: p_value is not recomputed.
        **{"partial_spearman": np.nan, "p_value": np.nan, "allowed": 1e-9, "unknown": False},
    }


def correlated(pairs):
    """The pairs that have a correlation: three observations or more, neither side constant."""
    return [pair for pair in pairs if not math.isnan(statistics.spearman(*pair))]


def training_rows(store, report, keys, draws):
    of_run = trainings(store, "head_metrics", **keys)
    metrics = [by_name(metric_series(store, training)) for training in of_run]
    outcomes = [outcome_series(store, training) for training in of_run]
    outcomes = [{name: known(series) for name, series in of_seed.items()} for of_seed in outcomes]
    exact = math.factorial(len(of_run)) <= draws
    if not exact:
        report.note(
            f"correlations of {keys}: p_value of the training scope comes from random permutations and is not verified"
        )
    rows = []
    for x, layer in metrics[0] if metrics else []:
        for y in outcomes[0]:
            series = [(of_x[x, layer], of_y[y]) for of_x, of_y in zip(metrics, outcomes)]
            found = row("training", x, layer, y, [paired(*pair) for pair in series])
            if len(series) > 1:
                found |= partial(series, exact)
            rows.append(found)
    return rows


def by_name(frames):
    """Frames with a column per layer as dicts, by (metric, layer)."""
    return {(name, layer): known(frame[layer]) for name, frame in frames.items() for layer in frame.columns}


def partial(series, exact):
    """The partial correlation over the common steps of all seeds, and its p-value over permutations of the seeds."""
    steps = sorted(set.intersection(*(x.keys() & y.keys() for x, y in series)))
    if len(steps) < 3:
        return {}
    x, y = (np.array([[of_seed[step] for step in steps] for of_seed in part], dtype=float) for part in zip(*series))
    correlations = statistics.partial_correlations(x, y)
    if np.isnan(correlations).any():
        return {}
    found = {"partial_spearman": correlations.diagonal().mean(), "unknown": not exact}
    return found | {"p_value": statistics.seed_permutation_p(correlations)} if exact else found


def generation_rows(store, keys, draws):
    of_run = [keys for keys in trainings(store, "sample_scores", **keys) if store.has("sample_attention", **keys)]
    samples = [last_samples(store, training) for training in of_run]
    metrics = [by_name(frames) for frames, _, _ in samples]
    scores = [{name: known(frame[name]) for name in frame.columns} for _, frame, _ in samples]
    generator = np.random.default_rng(0)
    rows = []
    for x, layer in metrics[0] if metrics else []:
        for y in scores[0]:
            pairs = [paired(of_x[x, layer], of_y[y]) for of_x, of_y in zip(metrics, scores)]
            found = row("generation", x, layer, y, pairs)
            if used := correlated(pairs):
                found["p_value"], found["allowed"] = statistics.sample_permutation_p(used, draws, generator)
            rows.append(found)
    return rows
