"""`onsets` and `head_matches`: onsets of kinds of heads, change points of metrics, and heads matched across seeds."""

import functools
import math

import numpy as np
import pandas as pd
from contract import HEAD_MEASURES, REDUNDANT
from scipy.optimize import linear_sum_assignment

from .report import EXACT, FLOAT64, Tolerance
from .statistics import ROUNDING, constant, interval, ranks
from .store import Missing
from .study import ALL, metric_series, outcome_series, trainings

SCORE_OF = {
    "previous_token_head": "previous_token_score",
    "induction_head": "induction_score",
    "attention_sink": "first_token_mass",
}
HEAD_MARGIN, LAYER_MARGIN = 0.1, 0.05
LEAST_EXPLAINED = 0.5
# The metrics that heads are matched by, and how often heads are dealt to seeds at random.
MATCHED_BY = [name for name in HEAD_MEASURES if name not in REDUNDANT]
DEALS = 400


def verify(store, report, progress):
    for table, verify_run in [("onsets", verify_onsets), ("head_matches", verify_matches)]:
        for keys in store.partitions(table):
            progress(f"{table} of {keys['dataset']} {keys['run']}")
            of_run = trainings(store, "head_metrics", **keys)
            # In the study's order: heads are matched with those of the first seed.
            config = store.config(table, **keys)
            order = next(dataset["seeds"] for dataset in config["datasets"] if dataset["name"] == keys["dataset"])
            of_run.sort(key=lambda training: order.index(training["seed"]))
            try:
                verify_run(report, store, store.read(table, **keys), of_run, f"{keys['dataset']} {keys['run']}")
            except Missing as missing:
                report.note(f"{table} of {keys['dataset']} {keys['run']} is not verified: {missing}")


# ── Onsets ──


def verify_onsets(report, store, stored, of_run, where):
    computed = pd.DataFrame(list(events(store, of_run)))
    computed["rank"] = computed.groupby("layer")["value"].transform(time_ranks)
    stored = stored.assign(layer=stored["layer"].fillna(ALL).astype(int))
    keys, float64 = ["event", "metric", "layer"], ["value", "low", "high", "change", "explained"]
    tolerances = dict.fromkeys(float64, FLOAT64) | dict.fromkeys(["n", "seeds", "rank"], EXACT)
    report.compare_frames("onsets", stored, computed, keys, tolerances, where)
    joined = stored.merge(computed, on=keys, suffixes=("", " computed"))
    for column in ("in_seeds", "steps", "steps_before"):
        pairs = zip(joined[column], joined[f"{column} computed"], strict=True)
        same = [list(one) == list(other) for one, other in pairs]
        report.compare_equal("onsets", column, same, [True] * len(same), where)


def time_ranks(values):
    """Ranks in time, the first being 1. Values that are equal up to rounding share the lowest rank."""
    known = values.dropna()
    # From the mean rank of equal values to their lowest.
    mean_rank = pd.Series(ranks(known), index=known.index)
    return (mean_rank - (mean_rank.groupby(mean_rank).transform("size") - 1) / 2).reindex(values.index)


def events(store, of_run):
    seeds = [training["seed"] for training in of_run]
    heads = [store.read("head_metrics", **training) for training in of_run]
    uniform = [store.read("baselines", **training).set_index("metric")["value"] for training in of_run]
    metrics = [metric_series(store, training) for training in of_run]
    layers = metrics[0]["entropy_nats"].columns
    for event, metric in SCORE_OF.items():
        for layer in layers:
            best = [highest(frame, metric, layer) for frame in heads]
            # A metric without a baseline has a null baseline.
            base = [baseline.get(metric, np.nan) for baseline in uniform]
            occurrences = [onset(series, at, HEAD_MARGIN) for series, at in zip(best, base, strict=True)]
            yield row(event, metric, layer, seeds, occurrences)
    for layer in layers if "js_divergence" in metrics[0] else []:
        series = [of_seed["js_divergence"][layer].dropna() for of_seed in metrics]
        occurrences = [onset(of_seed, 0.0, LAYER_MARGIN) for of_seed in series]
        yield row("layer_specialisation", "js_divergence", layer, seeds, occurrences)
    for metric in metrics[0]:
        for layer in layers:
            yield row("change_point", metric, layer, seeds, [change_point(of_seed[metric][layer]) for of_seed in metrics])
    losses = [outcome_series(store, training)["val_loss"] for training in of_run]
    losses = [loss[loss.index.isin(frame["step"])] for loss, frame in zip(losses, heads, strict=True)]
    yield row("change_point", "val_loss", ALL, seeds, [change_point(loss) for loss in losses])


def highest(frame, metric, layer):
    """At each step, the highest score of any head of a layer, or of all layers."""
    return frame[(layer == ALL) | (frame["layer"] == layer)].groupby("step")[metric].max().dropna()


def onset(series, baseline, margin):
    """The onset of a score that starts at a baseline, as (series, position or None, change, null): the first of two
    consecutive snapshots that are at least half-way between the baseline and the maximum, where the maximum is over
    minima of two consecutive snapshots. None if the maximum is within the margin of the baseline, or if the first snapshot
    is at least half-way."""
    if len(series) < 2:
        return series, None, np.nan, np.nan
    pairs = np.minimum(series.to_numpy()[:-1], series.to_numpy()[1:])
    rise = pairs.max() - baseline
    first = int(np.argmax(pairs >= (baseline + pairs.max()) / 2))
    return series, first if rise > margin and first > 0 else None, rise, np.nan


def change_point(series):
    """The change point of a series, as (series, position or None, change, explained variance): the first snapshot of the
    second of two levels, of two snapshots or more each, with the least weighted squared error. None if the levels explain
    less than half of the variance."""
    series = series.dropna()
    values, weights = series.to_numpy(), trapezoid_weights(series.index.to_numpy())
    if len(values) < 4 or constant(values):
        return series, None, np.nan, np.nan
    whole = spread(values, weights)
    left = {cut: spread(values[:cut], weights[:cut]) + spread(values[cut:], weights[cut:]) for cut in cuts(values)}
    # The earliest of those that are equal up to rounding.
    cut = next(cut for cut in left if left[cut] <= min(left.values()) + 1e-11 * whole)
    levels = [np.average(values[part], weights=weights[part]) for part in (slice(cut), slice(cut, None))]
    explained = 1 - left[cut] / whole
    return series, cut if explained >= LEAST_EXPLAINED else None, levels[1] - levels[0], explained


def cuts(values):
    return range(2, len(values) - 1)


def spread(values, weights):
    return (weights * (values - np.average(values, weights=weights)) ** 2).sum()


def trapezoid_weights(steps):
    """The trapezoid rule's weight of each snapshot on the schedule's axis: half the distance of its neighbours. The axis is the
    step; its logarithm, step 0 being one doubling before the next, where at least three later steps lie below the
    first of as many evenly spaced ones."""
    later = steps[steps > 0].astype(float)
    if len(steps) < 2:
        return np.ones(len(steps))
    axis = steps.astype(float)
    if (later * len(later) < later[-1]).sum() >= 3:
        axis = np.log(np.concatenate([[later[0] / 2], later]) if steps[0] == 0 else later)
    return np.diff(np.concatenate([axis[:1], (axis[1:] + axis[:-1]) / 2, axis[-1:]]))


def row(event, metric, layer, seeds, occurrences):
    """A row of `onsets`: the geometric mean over the seeds that have the event, and the interval of the logarithms."""
    seen = [(seed, *occurrence) for seed, occurrence in zip(seeds, occurrences, strict=True) if occurrence[1] is not None]
    steps = [int(series.index[at]) for _, series, at, _, _ in seen]
    value, low, high = np.exp(interval(np.log(steps))) if steps else (np.nan, np.nan, np.nan)
    chosen = pd.DataFrame([s[2:] for s in (occurrence for _, *occurrence in seen)] or [s[2:] for s in occurrences])
    return {
        **{"event": event, "metric": metric, "layer": layer, "value": value, "low": low, "high": high},
        **{"n": len(seen), "seeds": len(seeds), "in_seeds": [seed for seed, *_ in seen], "steps": steps},
        "steps_before": [int(series.index[at - 1]) for _, series, at, _, _ in seen],
        **{"change": chosen[0].mean(), "explained": chosen[1].mean()},
    }


# ── Heads ──


def verify_matches(report, store, stored, of_run, where):
    frames = [store.read("head_metrics", **training) for training in of_run]
    computed = pd.DataFrame(list(matches([training["seed"] for training in of_run], frames)))
    tolerances = {"slot": EXACT, "distance": FLOAT64, "random_distance": FLOAT64}
    report.compare_frames("head_matches", stored, computed, ["seed", "layer", "head"], tolerances, where)
    if len(of_run) < 2:
        return
    # Both sides deal heads at random; five standard errors of their difference are allowed.
    joined = stored.merge(computed, on=["seed", "layer", "head"], suffixes=("", " computed"))
    joined = joined[joined["seed"] != of_run[0]["seed"]]
    for name, allowed in [("chance_distance", "distance allowed"), ("p_value", "p allowed")]:
        values = [joined[column].to_numpy(dtype=np.float64) for column in (name, f"{name} computed", allowed)]
        report.compare("head_matches", name, *values[:2], Tolerance(chance=True), where, values[2])


def matches(seeds, frames):
    """Matches each seed's heads with the first seed's, layer by layer, by the assignment with the least sum of squared
    distances."""
    common = functools.reduce(np.intersect1d, [frame["step"].unique() for frame in frames])
    weights = trapezoid_weights(common)
    series = [by_head(frame[frame["step"].isin(common)]) for frame in frames]
    scales = [
        deviation(np.stack([of_seed[metric] for of_seed in series]), weights) for metric in range(len(MATCHED_BY))
    ]
    varying = [metric for metric, scale in enumerate(scales) if scale > 0]
    scaled = [np.stack([of_seed[metric] / scales[metric] for metric in varying]) for of_seed in series]
    layers = range(scaled[0].shape[2])
    by_chance = [chance([of_seed[:, :, layer] for of_seed in scaled], weights) for layer in layers]
    for seed, of_seed in zip(seeds, scaled, strict=True):
        for layer in layers:
            apart = of_seed[:, :, layer, :, None] - scaled[0][:, :, layer, None, :]
            squares = np.einsum("s,mshk->hk", weights, apart**2) / (len(varying) * weights.sum())
            slots = linear_sum_assignment(squares)[1] if seed != seeds[0] else np.arange(len(squares))
            for head, slot in enumerate(slots):
                other = seed != seeds[0]
                yield {
                    **{"seed": seed, "layer": layer, "head": head, "slot": slot},
                    "distance": np.sqrt(squares[head, slot]) if other else np.nan,
                    "random_distance": np.sqrt(squares[head]).mean() if other else np.nan,
                    **(by_chance[layer] if other else {}),
                }


def chance(seeds, weights):
    """What matching gives where a layer's heads, [metric, step, head] of each seed, are dealt to seeds at random."""
    if len(seeds) < 2:
        return {}
    count = seeds[0].shape[2]
    heads = np.concatenate(seeds, axis=2)
    flat = (heads * np.sqrt(weights / weights.sum() / max(len(heads), 1))[None, :, None]).reshape(-1, heads.shape[2]).T
    squares = ((flat[:, None] - flat[None]) ** 2).sum(axis=-1)

    def matched(order):
        first = order[:count]
        distances = []
        for start in range(count, len(order), count):
            costs = squares[np.ix_(order[start : start + count], first)]
            distances.append(np.sqrt(costs[linear_sum_assignment(costs)]).mean())
        return np.mean(distances)

    generator = np.random.default_rng(0)
    actual = matched(np.arange(len(flat))) + ROUNDING
    deals = np.array([matched(generator.permutation(len(flat))) for _ in range(DEALS)])
    p_value = (1 + (deals <= actual).sum()) / (1 + DEALS)
    spread = math.sqrt(1 / DEALS + 1 / 1000)
    return {
        **{"chance_distance": deals.mean(), "distance allowed": 5 * deals.std() * spread + 1e-9},
        **{"p_value": p_value, "p allowed": 5 * math.sqrt(p_value * (1 - p_value) + 0.002) * spread},
    }


def by_head(frame):
    """The metrics as [metric, step, layer, head]."""
    frame = frame.sort_values(["step", "layer", "head"])
    shape = [frame[name].nunique() for name in ("step", "layer", "head")]
    return np.stack([frame[metric].to_numpy(dtype=np.float64).reshape(shape) for metric in MATCHED_BY])


def deviation(values, weights):
    """The pooled standard deviation of [seed, step, layer, head] between the heads of a layer at one step: over the heads
    of all seeds (ddof 1), the mean variance over layers and, weighted, over steps."""
    if np.isnan(values).any() or np.ptp(values) <= ROUNDING * np.abs(values).max():
        return 0.0
    heads = np.moveaxis(values, 0, 2).reshape(*values.shape[1:3], -1)
    return (
        np.sqrt(np.average(heads.var(axis=-1, ddof=1).mean(axis=-1), weights=weights)) if heads.shape[-1] > 1 else 0.0
    )
