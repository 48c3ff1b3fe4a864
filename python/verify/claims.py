"""The statistic of each claim, recomputed: once per seed, then over seeds."""

import dataclasses
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from . import plateau, statistics
from .evidence import Evidence, Found, NotTested, correlation_over_seeds, half_gap, of_values, over_seeds
from .study import ALL, known, last_samples, paired, trainings

LEVEL = 0.05  # of the family-wise type-I error
MOST_SEEDS = 9  # up to which all pairings are enumerated here; the pipeline enumerates those of ten
UNKNOWN = object()  # a p-value that is not recomputed


@dataclass(frozen=True)
class Claim:
    """Holds above `above` and below `below`; if both are equal, on either side; if both are null, its statistic gives the
    verdict."""

    statistic: Callable
    above: float = np.nan
    below: float = np.nan
    ours: bool = False  # whether the study gives no threshold

    def p_value(self, found):
        """Null if there is no test; the larger of two if there are two thresholds."""
        if found.p_value is not None or not found.n:
            return np.nan if found.p_value is None else found.p_value
        thresholds = [threshold for threshold in (self.above, self.below) if not math.isnan(threshold)]
        return max([found.test(threshold) for threshold in thresholds], default=np.nan)

    def power(self, found, p_value, level, decided):
        """The value that the seeds find, and the seeds that would decide: with a probability of 0.8."""
        if math.isnan(p_value):
            return np.nan, np.nan
        thresholds = [threshold for threshold in (self.above, self.below) if not math.isnan(threshold)]
        side = 1 if math.isnan(self.below) else -1 if math.isnan(self.above) else None
        detectable, needed = np.nan, found.fewest(level) if not thresholds else np.nan
        if found.student is not None and thresholds:
            threshold = min(thresholds, key=lambda threshold: abs(threshold - found.value))
            if self.above == self.below:
                side = np.sign(found.value - threshold)
            # An exact test of few seeds rejects nothing, and without a certain rise nothing is supported.
            if side is not None and found.n >= found.fewest(level) and found.supportable(level):
                detectable = found.student.detectable(threshold, side, level)
            needed = [found.student.seeds_needed(threshold, level), found.fewest(level)]
            if found.rise is not None and self.verdict(found, p_value, 0.0) == "supported":
                needed.append(found.rise.seeds_needed(0, level))
            needed = np.max(needed)
        open_ = not decided and self.verdict(found, p_value, 0.0) != "inconclusive"
        return detectable, needed if open_ else np.nan

    def sensitivity(self, found, level, verdict):
        """What other thresholds would decide, in words; null where the threshold is given."""
        if not self.ours or found.student is None:
            return found.sensitivity
        low, high = map(prose, found.student.not_rejected(level))
        supported, refuted = f"above {high}", f"below {low}"
        if math.isnan(self.below):
            supported, refuted = refuted, supported
        if verdict != "supported" and not found.supportable(level):
            return f"refuted with any threshold {refuted}; supported with none, because the rise is not certain"
        return f"supported with any threshold {supported}, refuted with any {refuted}"

    def verdict(self, found, p_value, adjusted):
        if found.n == 0:
            return "not_tested"
        if math.isnan(p_value):
            return found.verdict or "inconclusive"
        if adjusted > LEVEL:
            return "inconclusive"
        if found.verdict is not None:
            return found.verdict
        # Comparisons with NaN are false: most claims have one threshold.
        short = found.value <= self.above or found.value >= self.below
        if self.above == self.below:
            short = False
        elif self.above < self.below:
            short = found.value < self.above or found.value > self.below
        return "refuted" if short else "supported"


def prose(value):
    """A number as the pipeline writes it in a sentence: three significant digits, all of a whole number."""
    size = abs(value)
    if value == int(value) and size < 1e6:
        text = f"{value:.0f}" if value else "0"
    elif 1e-4 <= size < 1e6:
        text = f"{value:.{max(2 - math.floor(math.log10(size)), 0)}f}"
    else:
        mantissa, exponent = f"{value:.2e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", "−")


# ── Learning ──


def tracking_is_free(evidence):
    """The largest difference of final weights of the first run without tracking and the first with it, same seed: one
    seed is enough, and there is no interval."""
    store, dataset = evidence.store, evidence.dataset
    of_dataset = [keys for keys in store.partitions("tracking") if keys["dataset"] == dataset]
    # Without tracking the table exists and is empty. Of a run that takes other runs' trainings with some seeds, some are not.
    rows = lambda keys: store.file("tracking", **keys).metadata.num_rows
    untracked = {keys["run"] for keys in of_dataset if not rows(keys)}
    tracked = {keys["run"] for keys in of_dataset if rows(keys)} - untracked
    without, within = ([run for run in evidence.runs if run in known] for known in (untracked, tracked))
    if not without or not within:
        raise NotTested("no two runs, one with and one without tracking")
    differences = []
    for keys in trainings(store, "evaluations", dataset, without[0]):
        if rows(keys):
            continue
        own, other = (final_weights(store, training) for training in (keys, {**keys, "run": within[0]}))
        if {name: own[name].shape for name in own} == {name: other[name].shape for name in other}:
            differences.append(max(np.abs(own[name] - other[name]).max() for name in own))
    if not differences:
        raise NotTested("no two models of one shape")
    largest = max(differences)
    return Found(largest, n=len(differences), verdict="supported" if largest == 0 else "refuted")


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
    """The mean over seeds of Spearman's correlation of the deviations of x and of val_loss from their means over seeds at
    each step."""
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
    n = len(correlations)
    # The deviations of two seeds are opposite, so there is nothing to test.
    p_value = None if n == 2 else UNKNOWN if n > MOST_SEEDS else statistics.seed_permutation_p(correlations)
    inflation = math.sqrt((n - 1) / (n - 2)) if n > 2 else None
    student = statistics.correlation_student(correlations.diagonal(), [len(steps)] * n, inflation) if inflation else None
    found = statistics.partial_interval(correlations, len(steps))
    return Found(*found, n, p_value=p_value, student=student, fewest=fewest_pairings)


def fewest_pairings(level):
    """The seeds with which 1/n! is at most `level`."""
    return next(n for n in itertools.count(2) if 1 / math.factorial(n) <= level)


def fewest_signs(level):
    """The seeds with which 2/2ⁿ is at most `level`."""
    return next(n for n in itertools.count(2) if 2 / 2**n <= level)


# ── Attention distances and layers ──


def span_rises_then_settles(evidence):
    """abs(slope in the last quarter) over the slope in the first, of the mean distance over steps; supported only if the
    rise is significant too. If a first slope is not above 0 there is no value; if none is, the test of the slopes refutes."""
    slopes = []
    for metrics in evidence.metrics:
        series = metrics["mean_distance"][ALL]
        start, end = series.index.min(), series.index.max()
        quarter = (end - start) / 4
        slopes.append([slope(series[series.index <= start + quarter]), slope(series[series.index >= end - quarter])])
    slopes = np.array([of_seed for of_seed in slopes if not np.isnan(of_seed).any()]).reshape(-1, 2)
    falling, rise = slopes[:, 0] <= 0, statistics.t_test(slopes[:, 0], 0)
    if falling.any():
        verdict = "refuted" if falling.all() else "inconclusive"
        return Found(n=len(slopes), p_value=None if math.isnan(rise) else rise, verdict=verdict)
    ratios = np.abs(slopes[:, 1]) / slopes[:, 0]
    found = dataclasses.replace(of_values(ratios), rise=statistics.student(slopes[:, 0]))
    if found.value < 0.25:
        return dataclasses.replace(found, test=lambda threshold: max(statistics.t_test(ratios, threshold), rise))
    return found


def slope(series):
    """The slope of a line; null with fewer than three snapshots."""
    return np.polyfit(series.index.to_numpy(dtype=float), series.to_numpy(), 1)[0] if len(series) > 2 else np.nan


@correlation_over_seeds
def early_local_late_global(evidence):
    means = [frame.groupby("layer")["mean_distance"].mean() for frame in evidence.last("head_metrics")]
    return [(of_seed.index, of_seed) for of_seed in means]


def local_specialists(evidence):
    """The share of seeds where a head has `local_mass_3` above 0.8 and another below 0.3, at the last step. The
    verdict needs all seeds or none, and a sign test that rejects one half."""
    masses = [frame["local_mass_3"] for frame in evidence.last("head_metrics")]
    if len(masses[0]) < 2:
        raise NotTested("one head")
    holds = lambda local: sum((of_seed > local).any() and (of_seed < 0.3).any() for of_seed in masses)
    holding, seeds = holds(0.8), len(masses)
    others = [f"{holds(local)} of {seeds} seeds with {local}" for local in (0.5, 0.6, 0.7, 0.9)]
    sensitivity = f"with other thresholds than 0.8 it holds in {', '.join(others)}"
    verdict = {0: "refuted", seeds: "supported"}.get(holding, "inconclusive")
    p_value = stats.binomtest(holding, seeds).pvalue
    found = {"p_value": p_value, "verdict": verdict, "fewest": fewest_signs, "sensitivity": sensitivity}
    return Found(holding / seeds, n=seeds, **found)


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


def specialisation_onset(evidence):
    """The step at which the mean divergence changes: two levels, least squares."""
    last = evidence.last("layer_similarity")[0]["step"].iloc[0]
    if evidence.dataset != "shakespeare_char" or last < 4000:
        raise NotTested("another dataset, or fewer than 4000 steps")
    return of_values([change_point(metrics["js_divergence"][ALL]) for metrics in evidence.metrics], half_gap(evidence))


def change_point(series):
    """The first step of the second of two levels, of two snapshots or more each, with the least squared error."""
    values, steps = series.to_numpy(), series.index.to_numpy()
    if len(values) < 4 or statistics.constant(values):
        return np.nan
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
    """The variance of js_similarity over pairs of layers, minus that on shakespeare_char with the same seed; null for one
    pair."""
    spreads = []
    for dataset in (evidence.dataset, "shakespeare_char"):
        keys = trainings(evidence.store, "layer_similarity", dataset, evidence.run)
        frames = Evidence(evidence.store, dataset, evidence.run, evidence.runs).last("layer_similarity")
        similarities = {of["seed"]: frame["js_similarity"] for of, frame in zip(keys, frames)}
        spreads.append({seed: of.var(ddof=0) if len(of) > 1 else np.nan for seed, of in similarities.items()})
    common = sorted(spreads[0].keys() & spreads[1].keys())
    return [spreads[0][seed] - spreads[1][seed] for seed in common]


# ── Generated text ──


def quality_against(statistic):
    """A claim on Spearman(quality, statistic of the sample)."""

    def pairs(evidence):
        return [
            paired(known(statistic(metrics, attention)), known(scores["quality"]))
            for metrics, scores, attention in evidence.samples
        ]

    return correlation_over_seeds(pairs, of_samples=True)


def head_entropy_variance(_, attention):
    return attention.groupby("sample")["entropy_nats"].var(ddof=1)


def dominant_share(_, attention):
    norms = attention.groupby(["sample", "layer"])["output_norm"]
    return (norms.max() / norms.sum()).groupby("sample").mean()


def layered_spans(metrics, _):
    layers = metrics["mean_distance"].drop(columns=ALL)
    return layers.apply(lambda row: statistics.spearman(layers.columns, row), axis=1)


def quality_wants_balance(evidence):
    """The quadratic term of quality on the sample's standardized mean normalized_entropy, linear term included. A negative
    one supports the claim if the vertex is inside the data in every seed, and refutes it if it is inside in none."""
    terms, inside = [], []
    for metrics, scores, _ in evidence.samples:
        x, y = paired(known(metrics["normalized_entropy"][ALL]), known(scores["quality"]))
        if len(x) > 3 and len(np.unique(x)) > 2 and not statistics.constant(y):
            parabola = np.polynomial.Polynomial.fit(x, y, 2)
            terms.append(parabola.convert().coef[2] * np.var(x))
            inside.append(any(x.min() <= vertex <= x.max() for vertex in parabola.deriv().roots()))
    found = of_values(terms)
    if found.value < 0 and not all(inside):
        return dataclasses.replace(found, verdict="inconclusive" if any(inside) else "refuted")
    return found


@over_seeds
def generation_differs_slightly(evidence):
    values = []
    for frame in evidence.last("sample_attention"):
        means = frame.groupby("source")["normalized_entropy"].mean()
        values.append(abs(means.get("model", np.nan) - means.get("validation", np.nan)))
    return values


@over_seeds
def shakespeare_strongest(evidence):
    """The mean absolute Spearman correlation of quality with each metric averaged over layers, minus its mean over the other
    datasets; over the common seeds, and over as many samples as the smallest dataset has."""
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
    """Validation loss, repetition of samples and attention entropy of each seed, by snapshot."""
    for metrics, outcomes in zip(evidence.metrics, evidence.outcomes):
        if "repetition_4" not in outcomes:
            raise NotTested("no scored samples")
        entropy = metrics["normalized_entropy"][ALL]
        loss = outcomes["val_loss"]
        yield loss[loss.index.isin(entropy.index)], outcomes["repetition_4"].dropna(), entropy


@over_seeds
def plateau_repeats(evidence):
    return [plateau.repetition_on_plateau(loss, repetition) for loss, repetition, _ in at_snapshots(evidence)]


def attention_settles_first(evidence):
    steps = [plateau.settled_before_fall(repetition, entropy) for _, repetition, entropy in at_snapshots(evidence)]
    return of_values(steps, 2 * half_gap(evidence))


CLAIMS = {
    "plateau_repeats": Claim(plateau_repeats, above=0),
    "attention_settles_first": Claim(attention_settles_first, above=0),
    "tracking_is_free": Claim(tracking_is_free),
    "entropy_falls": Claim(entropy_falls, below=0),
    "span_rises_then_settles": Claim(span_rises_then_settles, below=0.25, ours=True),
    "early_local_late_global": Claim(early_local_late_global, above=0),
    "local_specialists": Claim(local_specialists),
    "balanced_span_helps": Claim(balanced_span_helps, below=0),
    "lower_layers_alike": Claim(lower_layers_alike, above=0),
    "specialisation_onset": Claim(specialisation_onset, above=1500, below=2500),
    "middle_most_alike": Claim(middle_most_alike, above=0),
    "last_layers_diverse": Claim(last_layers_diverse, above=0),
    "similarity_tracks_loss": Claim(similarity_tracks_loss, above=0, below=0),
    "enwik8_more_uniform": Claim(enwik8_more_uniform, below=0),
    "quality_wants_balance": Claim(quality_wants_balance, below=0),
    "quality_wants_stable_heads": Claim(quality_against(head_entropy_variance), below=0),
    "poor_is_overfocused": Claim(quality_against(lambda metrics, _: metrics["normalized_entropy"][ALL]), above=0),
    "poor_is_dominated": Claim(quality_against(dominant_share), below=0),
    "shakespeare_strongest": Claim(shakespeare_strongest, above=0),
    "generation_differs_slightly": Claim(generation_differs_slightly, below=0.05, ours=True),
    "quality_wants_layered_spans": Claim(quality_against(layered_spans), above=0),
    "poor_is_inconsistent": Claim(quality_against(lambda metrics, _: metrics["js_divergence"][ALL]), below=0),
    "val_tracks_train": Claim(val_tracks_train, above=0.9, ours=True),
}
# Claims about one dataset, which the findings of the others do not have.
ABOUT = {"enwik8_more_uniform": "enwik8", "shakespeare_strongest": "shakespeare_char"}
