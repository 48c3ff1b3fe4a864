"""Statistics over seeds: rank correlations, intervals, t-tests, permutation tests, corrections."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

# Values closer than this, relative to the largest one that they were computed from, differ by rounding only.
ROUNDING = 1e-11


def ranks(values, scale=None):
    """Ranks of each value, the mean rank of equal ones. Values that differ by rounding only are equal, since
    sums depend on their order. `scale` is the magnitude of the values that they were computed from."""
    values = np.asarray(values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    gaps = np.diff(values[order], prepend=values[order[:1]])
    scale = np.abs(values).max(initial=0.0) if scale is None else scale
    level = np.empty(len(values), dtype=int)
    level[order] = np.cumsum(gaps > ROUNDING * scale)
    counts = np.bincount(level)
    return (np.cumsum(counts) - (counts - 1) / 2)[level]


def pearson(x, y):
    """Pearson's correlation; null under three observations or where one is constant."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(x) < 3 or constant(x) or constant(y):
        return np.nan
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def constant(values):
    return np.ptp(values) <= ROUNDING * np.abs(values).max(initial=0.0)


def spearman(x, y):
    """Spearman's correlation: Pearson's of the ranks."""
    return pearson(ranks(x), ranks(y))


def interval(values):
    """The mean over seeds and its 95 % interval, `mean ± t(0.975, n−1)·sd/√n`; null with one seed."""
    values = np.asarray([value for value in values if not math.isnan(value)])
    if len(values) == 0:
        return np.nan, np.nan, np.nan
    if len(values) == 1:
        return values[0], np.nan, np.nan
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return values.mean(), values.mean() - half, values.mean() + half


def correlations_over_seeds(pairs):
    """The mean of Spearman's correlation over seeds and its interval, from (x, y) of each seed; seeds that have none
    are left out."""
    found = [(spearman(x, y), len(x)) for x, y in pairs]
    found = [(correlation, observations) for correlation, observations in found if not math.isnan(correlation)]
    return correlation_interval(*zip(*found)) if found else (np.nan, np.nan, np.nan)


def correlation_interval(correlations, observations, inflation=1.0):
    """The mean of one correlation a seed and its 95 % interval: that of Fisher's `z = artanh ρ`, transformed back,
    `tanh(z̄ ± inflation · t(0.975, n−1)·sd(z)/√n)`, widened to the mean where that lies outside. A perfect
    correlation of m observations counts as half-way to the next lower one, 1 − 6/(m³−m), and the interval reaches as far
    from the mean at least. Null with one seed, under four observations, and under six with two seeds."""
    correlations, observations = np.asarray(correlations), np.asarray(observations, dtype=float)
    mean, fewest = correlations.mean(), observations.min()
    if fewest < (6 if len(correlations) == 2 else 4):
        return mean, np.nan, np.nan
    half_steps = 6 / (observations**3 - observations)
    middle, low, high = interval(np.arctanh(np.clip(correlations, half_steps - 1, 1 - half_steps)))
    low, high = (np.tanh(middle + (end - middle) * inflation) for end in (low, high))
    return mean, max(min(low, mean - half_steps.max()), -1.0), min(max(high, mean + half_steps.max()), 1.0)


def partial_interval(correlations, steps):
    """The mean of `correlations[s, s]`, each seed's partial correlation over `steps` steps, and its interval.
    Deviations sum to zero over seeds, so its standard error is √((n−1)/(n−2)) times that of independent seeds; with
    two seeds the deviations are opposite, and there is no interval."""
    diagonal = correlations.diagonal()
    seeds = len(diagonal)
    if seeds < 3:
        return diagonal.mean(), np.nan, np.nan
    return correlation_interval(diagonal, np.full(seeds, steps), math.sqrt((seeds - 1) / (seeds - 2)))


def t_test(values, threshold, half_step=0.0):
    """The two-sided p-value of Student's t-test that the mean over seeds is the threshold; null with one seed. Of values
    that are known only to ±half_step, a mean within half a step is at the threshold."""
    values = np.asarray([value for value in values if not math.isnan(value)])
    if len(values) < 2:
        return np.nan
    if abs(values.mean() - threshold) <= half_step:
        return 1.0
    return student_p(values, threshold, half_step)


def correlation_t_test(pairs, threshold):
    """The same of Spearman's correlation in each seed, on the scale of `z = artanh ρ`, where half a step is the distance
    from the z of the mean to that of half a step less. Null where there is no interval."""
    found = [(spearman(x, y), len(x)) for x, y in pairs]
    found = np.array([(correlation, n) for correlation, n in found if not math.isnan(correlation)]).reshape(-1, 2)
    correlations, observations = found.T
    if len(found) < 2 or observations.min() < (6 if len(found) == 2 else 4):
        return np.nan
    half_steps = 6 / (observations**3 - observations)
    half_step = half_steps.max()
    z = np.arctanh(np.clip(correlations, half_steps - 1, 1 - half_steps))
    # Both means must be on the same side of the threshold.
    if (correlations.mean() - threshold) * np.sign(z.mean() - np.arctanh(threshold)) <= half_step:
        return 1.0
    size = min(abs(np.tanh(z.mean())), 1 - half_step)
    return student_p(z, np.arctanh(threshold), np.arctanh(size) - np.arctanh(size - half_step))


def student_p(values, threshold, half_step):
    """Two-sided; the standard deviation is at least that of values half a step above and below."""
    return Student(values.mean(), least_deviation(values, half_step), len(values)).p_value(threshold)


def least_deviation(values, half_step):
    n = len(values)
    return max(values.std(ddof=1), half_step * math.sqrt(n / (n - 1)))


@dataclass(frozen=True)
class Student:
    """A mean over `n` seeds and its standard deviation, on the scale of its t-test: z = artanh ρ for correlations."""

    mean: float
    deviation: float
    n: int
    of_correlations: bool = False

    def p_value(self, threshold):
        """Two-sided, of a threshold on the scale of the test."""
        distance = abs(self.mean - threshold)
        if not self.deviation:
            return 0.0 if distance else 1.0
        return 2 * stats.t.sf(distance * math.sqrt(self.n) / self.deviation, self.n - 1)

    def detectable(self, threshold, side, level):
        """The statistic, on this side of the threshold, that a test at this level finds with a probability of 0.8."""
        errors = optimize.brentq(lambda effect: power(self.n, effect, level) - POWER, 1e-9, most_effect(self.n, level))
        on_scale = (np.arctanh(threshold) if self.of_correlations else threshold) + side * errors * self.deviation / math.sqrt(self.n)
        return float(np.tanh(on_scale)) if self.of_correlations else on_scale

    def not_rejected(self, level):
        """The thresholds between which a test at this level rejects none."""
        half = -stats.t.ppf(level / 2, self.n - 1) * self.deviation / math.sqrt(self.n)
        ends = self.mean - half, self.mean + half
        return tuple(map(math.tanh, ends)) if self.of_correlations else ends

    def seeds_needed(self, threshold, level):
        """The seeds with which a test at this level finds this mean with a probability of 0.8; null over 100,000."""
        distance = abs(self.mean - (np.arctanh(threshold) if self.of_correlations else threshold))
        if not self.deviation:
            return 2 if distance else np.nan
        effect = distance / self.deviation
        found = lambda n: power(n, effect * math.sqrt(n), level) >= POWER
        if not found(100_000):
            return np.nan
        low, high = 1, 100_000
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if found(middle) else (middle, high)
        return high


def student(values, half_step=0.0):
    """The Student of one value a seed; null with one seed."""
    values = np.asarray([value for value in values if not math.isnan(value)])
    return Student(values.mean(), least_deviation(values, half_step), len(values)) if len(values) > 1 else None


def correlation_student(correlations, observations, inflation=1.0):
    """The Student of one correlation a seed; null where there is no interval."""
    correlations, observations = np.asarray(correlations), np.asarray(observations, dtype=float)
    if len(correlations) < 2 or observations.min() < (6 if len(correlations) == 2 else 4):
        return None
    half_steps = 6 / (observations**3 - observations)
    half_step = half_steps.max()
    z = np.arctanh(np.clip(correlations, half_steps - 1, 1 - half_steps))
    size = min(abs(np.tanh(z.mean())), 1 - half_step)
    deviation = least_deviation(z, np.arctanh(size) - np.arctanh(size - half_step))
    return Student(z.mean(), deviation * inflation, len(z), of_correlations=True)


POWER = 0.8


def power(n, effect, level):
    """The probability that a two-sided t-test finds an effect of so many standard errors: the noncentral t distribution,
    integrated over the standard deviation, since SciPy's own fails far out."""
    freedom = n - 1
    critical = -stats.t.ppf(level / 2, freedom)
    spread = 8 / math.sqrt(2 * freedom)
    middle = min(max(effect / critical, 0.0), 1 + spread)
    rejects = lambda s: special.ndtr(effect - critical * s) + special.ndtr(-effect - critical * s)
    density = lambda s: stats.chi.pdf(s * math.sqrt(freedom), freedom) * math.sqrt(freedom)
    # The nodes are dense where the test begins to reject, and where the standard deviation is likely.
    edges = sorted({max(1 - spread, 0.0), 1 + spread, *np.clip(middle + np.array([-8, -2, 0, 2, 8]) / critical, max(1 - spread, 0.0), 1 + spread)})
    nodes, weights = np.polynomial.legendre.leggauss(60)
    total = 0.0
    for low, high in zip(edges, edges[1:]):
        at = (low + high) / 2 + (high - low) / 2 * nodes
        total += (high - low) / 2 * (weights * rejects(at) * density(at)).sum()
    return min(total, 1.0)


def most_effect(n, level):
    """An effect that is found with a higher probability than 0.8."""
    effect = 1.0
    while power(n, effect, level) < POWER:
        effect *= 2
    return effect


def bootstrap(pairs, generator, batches=10, replicates=2_000):
    """The 95 % percentile interval of the mean over seeds of Spearman's correlation, resampling seeds and, within
    each, observations; and by how much each end can differ by chance. `pairs` are (x, y) of each seed."""
    found = [(np.asarray(x), np.asarray(y)) for x, y in pairs if not math.isnan(spearman(x, y))]
    if len(found) < 2:
        return np.nan, np.nan, 0.0, 0.0
    ends = []
    for _ in range(batches):
        chosen = generator.integers(len(found), size=(replicates, len(found)))
        correlations = np.full(chosen.shape, np.nan)
        for seed, (x, y) in enumerate(found):
            times = (chosen == seed).sum()
            drawn = generator.integers(len(x), size=(times, len(x)))
            correlations[chosen == seed] = rows_of_spearman(x[drawn], y[drawn])
        means = np.sort(np.nanmean(correlations, axis=1))
        tail = len(means) // 40
        ends.append((means[tail], means[-tail - 1]))
    ends = np.array(ends)
    spread = 6 * ends.std(axis=0, ddof=1) + 1e-3
    return *ends.mean(axis=0), *spread


def rows_of_spearman(x, y):
    """Spearman's correlation of each row; null where one side is constant."""
    x, y = (stats.rankdata(values, axis=1) for values in (x, y))
    x, y = (values - values.mean(axis=1, keepdims=True) for values in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))


def holm(p_values):
    """Holm's adjusted p-values over the ones that are not null."""
    p_values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(len(p_values), np.nan)
    order = [at for at in np.argsort(p_values, kind="stable") if not math.isnan(p_values[at])]
    steps = [(len(order) - place) * p_values[at] for place, at in enumerate(order)]
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if order else []
    return adjusted


def standard_error(values):
    return np.std(values, ddof=1) / math.sqrt(len(values)) if len(values) > 1 else np.nan


def deviations(by_seed):
    """[seed, step] less, at each step, the mean over seeds: what all seeds share is drift."""
    return by_seed - by_seed.mean(axis=0)


def partial_correlations(x, y):
    """[s, t]: Spearman of the deviations of x in seed s and of y in seed t, from [seed, step]; its diagonal is what was
    observed."""
    ranked = [
        np.array([ranks(row, np.abs(values).max()) for row in deviations(values)])
        for values in (np.asarray(x), np.asarray(y))
    ]
    return np.array([[pearson(of_x, of_y) for of_y in ranked[1]] for of_x in ranked[0]])


def seed_permutation_p(correlations):
    """The share of permutations π of the seeds whose mean over seeds of `correlations[s, π(s)]` is at least as large in
    absolute value as the observed one; exact, including the identity."""
    seeds = np.arange(len(correlations))
    observed = abs(correlations.diagonal().mean())
    orders, means = itertools.permutations(seeds), []
    while chunk := list(itertools.islice(orders, 100_000)):
        means.append(np.abs(correlations[seeds, np.array(chunk)].mean(axis=1)))
    return np.mean(np.concatenate(means) >= observed - 1e-12)


def sample_permutation_p(pairs, draws, generator):
    """The share of permutations of the samples within each seed whose mean Spearman is at least as large in
    absolute value as the observed one. `pairs` are (x, y) of each seed. Exact, including the identity, if there are no more
    orders than draws; else `(1 + count) / (1 + draws)` of random ones. Also returns the tolerance: how much two such
    estimates can differ by chance."""
    ranked = [(centred(x), centred(y)) for x, y in pairs]
    observed = abs(np.mean([x @ y for x, y in ranked]))
    orders = math.prod(math.factorial(len(x)) for x, _ in ranked)
    if orders <= draws:
        sums = [0.0]
        for x, y in ranked:
            products = [x @ y[list(order)] for order in itertools.permutations(range(len(x)))]
            sums = [sum_ + product for sum_ in sums for product in products]
        return np.mean(np.abs(np.array(sums)) / len(ranked) >= observed - 1e-12), 1e-9
    sums = np.zeros(draws)
    for x, y in ranked:
        drawn = generator.permuted(np.broadcast_to(y, (draws, len(y))), axis=1)
        sums += drawn @ x
    count = (np.abs(sums) / len(ranked) >= observed - 1e-12).sum()
    share = (count + 2) / (draws + 4)
    return (1 + count) / (1 + draws), 5 * math.sqrt(share * (1 - share) * 2 / draws) + 1 / draws


def centred(values):
    """Centred ranks as a vector of length 1: the inner product of two of them is Spearman's correlation."""
    ranked = ranks(values)
    ranked = ranked - ranked.mean()
    return ranked / np.linalg.norm(ranked)


def benjamini_hochberg(p_values):
    """Benjamini and Hochberg's adjusted p-values over the ones that are not null."""
    p_values = np.asarray(p_values, dtype=np.float64)
    known = ~np.isnan(p_values)
    adjusted = np.full(len(p_values), np.nan)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p_values[known], method="bh")
    return adjusted
