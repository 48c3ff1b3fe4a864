"""`findings`: the statistic of each claim of the study, once a seed, then over seeds."""

import functools
import math

import numpy as np
import pandas as pd

from . import plateau, statistics
from .report import FLOAT64
from .store import Missing
from .study import ALL, known, last_samples, metric_series, outcome_series, paired, trainings


class NotTested(Exception):
    """The data lack what a claim needs."""


def verify(store, report, progress):
    for keys in store.partitions("findings"):
        dataset = keys["dataset"]
        progress(f"findings of {dataset}")
        stored = store.read("findings", **keys)
        for finding in stored.itertuples():
            where = f"dataset={dataset} {finding.claim}"
            if finding.claim not in CLAIMS:
                report.note(f"findings: {where} is not recomputed, its formula is not here")
                continue
            try:
                value, low, high = CLAIMS[finding.claim](Evidence(store, dataset, finding.run))
            except (NotTested, Missing):
                value, low, high = np.nan, np.nan, np.nan
            for column, found in [("value", value), ("low", low), ("high", high)]:
                report.compare("findings", column, [getattr(finding, column)], [found], FLOAT64, where)


class Evidence:
    """What a run's trainings on a dataset say, by seed."""

    def __init__(self, store, dataset, run):
        self.store, self.dataset, self.run = store, dataset, run

    def read(self, table):
        """A table of each seed; it must be there."""
        frames = [self.store.read(table, **keys) for keys in trainings(self.store, table, self.dataset, self.run)]
        if not frames:
            raise NotTested(f"no {table}")
        return frames

    @functools.cached_property
    def metrics(self):
        keys = trainings(self.store, "head_metrics", self.dataset, self.run)
        if not keys:
            raise NotTested("no metrics of attention")
        return [metric_series(self.store, of_seed) for of_seed in keys]

    @functools.cached_property
    def outcomes(self):
        return [
            outcome_series(self.store, keys) for keys in trainings(self.store, "head_metrics", self.dataset, self.run)
        ]

    @functools.cached_property
    def samples(self):
        keys = trainings(self.store, "sample_attention", self.dataset, self.run)
        if not keys:
            raise NotTested("no attention while generating")
        return [last_samples(self.store, of_seed) for of_seed in keys]

    def last(self, table):
        """The last step's rows of each seed."""
        return [frame[frame["step"] == frame["step"].max()] for frame in self.read(table)]

    @property
    def layers(self):
        return int(self.last("layer_metrics")[0]["layer"].max()) + 1


def over_seeds(statistic):
    """A claim whose statistic is computed once a seed: value and interval over seeds."""
    return lambda evidence: statistics.interval(statistic(evidence))


def correlation_over_seeds(pairs):
    """The same where the statistic is Spearman's correlation of (x, y) of each seed."""
    return lambda evidence: statistics.correlations_over_seeds(pairs(evidence))


def exactly(value):
    """A claim without an interval."""
    return value, np.nan, np.nan


# ── Learning ──


def tracking_is_free(evidence):
    """The largest difference of final weights of run_0 and run_1, same seed."""
    store, largest = evidence.store, None
    for keys in trainings(store, "evaluations", evidence.dataset, "run_0"):
        own, other = (final_weights(store, training) for training in (keys, {**keys, "run": "run_1"}))
        difference = max(np.abs(own[name] - other[name]).max() for name in own)
        largest = max(difference, largest or 0.0)
    if largest is None:
        raise NotTested("run_0 is not there")
    return exactly(largest)


def final_weights(store, training):
    steps = [keys["step"] for keys in store.partitions("checkpoints") if keys.items() >= training.items()]
    if not steps:
        raise NotTested("no weights")
    return store.tensors(**training, step=max(steps))


@correlation_over_seeds
def entropy_falls(evidence):
    series = [metrics["entropy_nats"][ALL] for metrics in evidence.metrics]
    return [(of_seed.index, of_seed) for of_seed in series]


@correlation_over_seeds
def val_tracks_train(evidence):
    return [(frame["train_loss"], frame["val_loss"]) for frame in evidence.read("evaluations")]


def balanced_span_helps(evidence):
    return partial_claim(evidence, [-(metrics["local_mass_3"][ALL] - 0.5).abs() for metrics in evidence.metrics])


def similarity_tracks_loss(evidence):
    if "js_similarity" not in evidence.metrics[0]:
        raise NotTested("no similarities")
    return partial_claim(evidence, [metrics["js_similarity"][ALL] for metrics in evidence.metrics])


def partial_claim(evidence, series):
    """The mean over seeds of Spearman's correlation of what remains of x and of val_loss after taking out, at each
    step, the mean over seeds."""
    if len(series) < 2:
        raise NotTested("one seed")
    x = pd.concat(series, axis=1, join="inner").dropna()
    y = pd.concat([outcomes["val_loss"] for outcomes in evidence.outcomes], axis=1, join="inner").dropna()
    steps = x.index.intersection(y.index)
    if len(steps) < 3:
        raise NotTested("too few steps")
    correlations = statistics.partial_correlations(x.loc[steps].T.to_numpy(), y.loc[steps].T.to_numpy())
    if np.isnan(correlations.diagonal()).any():
        raise NotTested("constant")
    return statistics.partial_interval(correlations, len(steps))


# ── Spans and layers ──


def span_rises_then_settles(evidence):
    """abs(slope in the last quarter) over the slope in the first, of the mean distance over steps; none where it
    does not rise at first."""
    ratios = []
    for metrics in evidence.metrics:
        series = metrics["mean_distance"][ALL]
        end = series.index.max()
        first, last = (slope(part) for part in (series[series.index <= end / 4], series[series.index >= end * 3 / 4]))
        ratios.append(abs(last) / first if first > 0 else np.nan)
    return exactly(np.nan) if np.isnan(ratios).any() else statistics.interval(ratios)


def slope(series):
    if len(series) < 3:
        raise NotTested("fewer than three snapshots")
    return np.polyfit(series.index.to_numpy(dtype=float), series.to_numpy(), 1)[0]


@correlation_over_seeds
def early_local_late_global(evidence):
    means = [frame.groupby("layer")["mean_distance"].mean() for frame in evidence.last("head_metrics")]
    return [(of_seed.index, of_seed) for of_seed in means]


def local_specialists(evidence):
    """The share of seeds where a head has `local_mass_3` above 0.8 and another below 0.3, at the last step."""
    masses = [frame["local_mass_3"] for frame in evidence.last("head_metrics")]
    if len(masses[0]) < 2:
        raise NotTested("one head")
    return exactly(np.mean([(of_seed > 0.8).any() and (of_seed < 0.3).any() for of_seed in masses]))


@over_seeds
def lower_layers_alike(evidence):
    lower = evidence.layers // 2
    if lower < 2:
        raise NotTested("no two layers in the lower half")
    values = []
    for pairs in evidence.last("layer_similarity"):
        within = pairs["layer_b"] < lower
        between = (pairs["layer_a"] < lower) & (pairs["layer_b"] >= lower)
        values.append(pairs["js_similarity"][within].mean() - pairs["js_similarity"][between].mean())
    return values


@over_seeds
def specialisation_onset(evidence):
    """The step at which the mean divergence changes: two levels, least squares."""
    last = evidence.last("layer_similarity")[0]["step"].iloc[0]
    if evidence.dataset != "shakespeare_char" or last < 4000:
        raise NotTested("another text, or fewer than 4000 iterations")
    return [change_point(metrics["js_divergence"][ALL]) for metrics in evidence.metrics]


def change_point(series):
    """The first step of the second of two levels, each of two steps or more, with the least squares in all."""
    values, steps = series.to_numpy(), series.index.to_numpy()
    cuts = range(2, len(values) - 1)
    left = [sum(len(part) * part.var() for part in (values[:cut], values[cut:])) for cut in cuts]
    return float(steps[cuts[int(np.argmin(left))]])


@over_seeds
def middle_most_alike(evidence):
    if evidence.layers != 6:
        raise NotTested("not six layers")
    return [
        pairs["js_similarity"][pairs["layer_a"] >= 3].mean() - pairs["js_similarity"][pairs["layer_b"] < 3].mean()
        for pairs in evidence.last("layer_similarity")
    ]


@over_seeds
def last_layers_diverse(evidence):
    layers = evidence.layers
    if layers < 2:
        raise NotTested("one layer")
    first = layers - math.ceil(layers / 3)
    by_layer = [frame.set_index("layer")["head_js_divergence"] for frame in evidence.last("layer_metrics")]
    return [of_seed[of_seed.index >= first].mean() - of_seed[of_seed.index < first].mean() for of_seed in by_layer]


@over_seeds
def enwik8_more_uniform(evidence):
    """The variance of js_similarity over pairs of layers, less that on shakespeare_char with the same seed."""
    spreads = []
    for dataset in (evidence.dataset, "shakespeare_char"):
        keys = trainings(evidence.store, "layer_similarity", dataset, evidence.run)
        frames = Evidence(evidence.store, dataset, evidence.run).last("layer_similarity")
        spreads.append({of["seed"]: frame["js_similarity"].var(ddof=0) for of, frame in zip(keys, frames)})
    common = sorted(spreads[0].keys() & spreads[1].keys())
    return [spreads[0][seed] - spreads[1][seed] for seed in common]


# ── Generated text ──


def quality_against(statistic):
    """A claim on Spearman(quality, statistic of the sample)."""

    @correlation_over_seeds
    def claim(evidence):
        return [
            paired(known(statistic(metrics, attention)), known(scores["quality"]))
            for metrics, scores, attention in evidence.samples
        ]

    return claim


def head_entropy_variance(_, attention):
    return attention.groupby("sample")["entropy_nats"].var(ddof=1)


def dominant_share(_, attention):
    norms = attention.groupby(["sample", "layer"])["output_norm"]
    return (norms.max() / norms.sum()).groupby("sample").mean()


def layered_spans(metrics, _):
    layers = metrics["mean_distance"].drop(columns=ALL)
    return layers.apply(lambda row: statistics.spearman(layers.columns, row), axis=1)


@over_seeds
def quality_wants_balance(evidence):
    """The quadratic term of quality on the sample's mean normalized_entropy, linear term included."""
    terms = []
    for metrics, scores, _ in evidence.samples:
        x, y = paired(known(metrics["normalized_entropy"][ALL]), known(scores["quality"]))
        if len(x) < 4:
            raise NotTested("too few samples")
        terms.append(np.polynomial.Polynomial.fit(x, y, 2).convert().coef[2])
    return terms


@over_seeds
def generation_differs_slightly(evidence):
    values = []
    for frame in evidence.last("sample_attention"):
        means = frame.groupby("source")["normalized_entropy"].mean()
        values.append(abs(means["model"] - means["validation"]))
    return values


@over_seeds
def shakespeare_strongest(evidence):
    """The mean size of Spearman's correlation of quality with each metric over all layers, less its mean over the other
    datasets; over the seeds that all have, each cut to as many samples as the smallest has."""
    store, run = evidence.store, evidence.run
    others = {keys["dataset"] for keys in store.partitions("sample_scores")} - {evidence.dataset}
    by_dataset = []
    for dataset in [evidence.dataset, *sorted(others)]:
        keys = trainings(store, "sample_scores", dataset, run)
        by_dataset.append({of["seed"]: last_samples(store, of) for of in keys})
    common = sorted(set.intersection(*(set(seeds) for seeds in by_dataset)))
    if not others or not common:
        raise NotTested("no other dataset, or no seed in common")
    fewest = min(seeds[seed][1]["quality"].count() for seeds in by_dataset for seed in common)
    strengths = [[strength(seeds[seed], fewest) for seeds in by_dataset] for seed in common]
    return [own - np.mean(rest) for own, *rest in strengths]


def strength(samples, count):
    metrics, scores, _ = samples
    quality = known(scores["quality"].dropna().sort_index().iloc[:count])
    return np.nanmean([abs(statistics.spearman(*paired(known(frame[ALL]), quality))) for frame in metrics.values()])


# ── The plateau ──


def at_snapshots(evidence):
    """Validation loss, repetition of the generated texts and entropy of attention of each seed, by snapshot."""
    for metrics, outcomes in zip(evidence.metrics, evidence.outcomes):
        if "repetition_4" not in outcomes:
            raise NotTested("no scored texts")
        entropy = metrics["normalized_entropy"][ALL]
        loss = outcomes["val_loss"]
        yield loss[loss.index.isin(entropy.index)], outcomes["repetition_4"].dropna(), entropy


@over_seeds
def plateau_repeats(evidence):
    return [plateau.repetition_on_plateau(loss, repetition) for loss, repetition, _ in at_snapshots(evidence)]


@over_seeds
def attention_settles_first(evidence):
    return [plateau.settled_before_fall(repetition, entropy) for _, repetition, entropy in at_snapshots(evidence)]


CLAIMS = {
    "plateau_repeats": plateau_repeats,
    "attention_settles_first": attention_settles_first,
    "tracking_is_free": tracking_is_free,
    "entropy_falls": entropy_falls,
    "span_rises_then_settles": span_rises_then_settles,
    "early_local_late_global": early_local_late_global,
    "local_specialists": local_specialists,
    "balanced_span_helps": balanced_span_helps,
    "lower_layers_alike": lower_layers_alike,
    "specialisation_onset": specialisation_onset,
    "middle_most_alike": middle_most_alike,
    "last_layers_diverse": last_layers_diverse,
    "similarity_tracks_loss": similarity_tracks_loss,
    "enwik8_more_uniform": enwik8_more_uniform,
    "quality_wants_balance": quality_wants_balance,
    "quality_wants_stable_heads": quality_against(head_entropy_variance),
    "poor_is_overfocused": quality_against(lambda metrics, _: metrics["normalized_entropy"][ALL]),
    "poor_is_dominated": quality_against(dominant_share),
    "shakespeare_strongest": shakespeare_strongest,
    "generation_differs_slightly": generation_differs_slightly,
    "quality_wants_layered_spans": quality_against(layered_spans),
    "poor_is_inconsistent": quality_against(lambda metrics, _: metrics["js_divergence"][ALL]),
    "val_tracks_train": val_tracks_train,
}
