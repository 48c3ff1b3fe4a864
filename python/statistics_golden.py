"""Writes the golden numbers that the tests of the stage `correlate` compare its statistics with.

They come from SciPy, NumPy, statsmodels, scikit-learn and pingouin; if two of these have a statistic, they must agree. The
stage's own rules are applied:

- a correlation needs 3 observations or more, and values that differ by rounding are ties;
- in Fisher's interval a perfect correlation counts as half-way to the next lower one; the interval reaches half a step of
  such correlations to either side, and very few observations have none;
- the t-test of correlations assumes a standard deviation of at least half a step;
- the p-value of a permutation test is that of the absolute statistic (SciPy's two-sided one doubles the smaller tail).

    python python/statistics_golden.py   # writes stages/correlate/tests/golden/statistics.json
"""

import json
import warnings
from math import factorial, inf, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pingouin
import statsmodels.api as sm
from scipy import stats
from sklearn.tree import DecisionTreeRegressor
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

GOLDEN = Path(__file__).resolve().parent.parent / "stages/correlate/tests/golden/statistics.json"
EXACT = 50_000  # Permutations of an exact test; if there are more, the stage draws random ones.


def main():
    warnings.simplefilter("ignore", RuntimeWarning)  # pingouin's, on a perfect correlation.
    generator = np.random.default_rng(20)
    normal, uniform = lambda *n: generator.normal(size=n).round(3), lambda *n: generator.random(n).round(6)
    places = [[0.1, 0.25, 0.4, 0.7, 0.9], range(0, 5001, 100), 1e6 + np.arange(12), 1e-6 * normal(200), [1, 2] * 4]
    places += [[0, 1, 2] * 5, [1, 2, 3], [1] * 4]
    steps = [(normal(4), uniform(4)), (normal(40).cumsum(), uniform(40)), (normal(300), np.ones(300))]
    steps += [(np.repeat([0.1, 0.8], [7, 3]), np.ones(10)), (np.full(6, 0.3), uniform(6))]
    values = [normal(1), normal(2), 1e6 + normal(3), 1e-6 * normal(10), normal(500), np.full(4, 0.3)]
    families = [uniform(1), uniform(60) ** 3, uniform(30).round(1), np.ones(3), np.array([1e-300, 0.5])]
    golden = {
        "studies": [study(*case) for case in studies(generator)],
        "means": [mean(case) for case in values],
        "families": [family(case) for case in families],
        "fits": [fit(np.array(x, dtype=float), normal(len(x)) + 0.01 * np.arange(len(x)) ** 2) for x in places],
        "levels": [levels(*case) for case in steps],
    }
    kinds = (f' "{kind}": [\n' + ",\n".join(f"  {json.dumps(case)}" for case in golden[kind]) for kind in golden)
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    GOLDEN.write_text("{\n" + "\n ],\n".join(kinds) + "\n ]\n}\n")
    print(f"{GOLDEN.name}: {GOLDEN.stat().st_size} bytes, {sum(map(len, golden.values()))} cases")


def agreed(value, other):
    np.testing.assert_allclose(value, other, rtol=1e-9, atol=1e-12)
    return value


def studies(generator):
    """Names, and two metrics `[seed][observation]`: a trend that all seeds share, and noise that `x` and `y` share."""

    def drawn(seeds, n, effect, drift=5.0, decimals=3):
        (own, other), time = generator.normal(size=(2, seeds, n)), np.linspace(0, 4, n)
        y = drift / (1 + time) + effect * own + sqrt(1 - effect**2) * other
        return (drift * np.exp(-time) + own).round(decimals).tolist(), y.round(decimals).tolist()

    for case in [(3, 12, 0.0), (3, 21, 0.9), (4, 10, -0.6), (5, 18, 0.3), (6, 8, -0.9), (7, 13, 0.5), (10, 9, 0.4)]:
        yield "{} seeds, {} observations, effect {}".format(*case), *drawn(*case)
    yield "many observations", *drawn(3, 400, 0.2, drift=0.0)
    yield "ties", *drawn(5, 15, 0.7, drift=1.0, decimals=0)
    yield "three observations", *drawn(4, 3, 0.5, drift=0.0)
    yield "two observations", *drawn(3, 2, 0.5)
    yield "two seeds", *drawn(2, 5, -0.4)
    yield "one seed", *drawn(1, 7, 0.5)
    x, y = drawn(3, 8, 0.5)
    yield "other lengths", [x[0], x[1][:5], x[2][:6]], [y[0], y[1][:5], y[2][:6]]
    yield "large beside their differences", (1e6 + np.array(x)).tolist(), y
    yield "a constant seed", x, [y[0], [0.3] * 8, y[2]]
    yield "all constant but for rounding", x, [[0.3, 0.1 + 0.2] * 4] * 3
    yield "the same in all seeds", [x[0]] * 3, y
    tied = [[0.1 + 0.2, 0.3, 0.7, 0.1, 0.5], [0.3, 0.1, 0.2, 0.1 + 0.2, 0.6]]
    yield "ties but for rounding", tied, [y[0][:5], y[1][:5]]
    x = np.sort(drawn(3, 6, 0.5, drift=0.0)[0])
    yield "perfect", x.tolist(), (x**3).tolist()
    yield "perfect and opposite", x.tolist(), [(-x[0]).tolist(), x[1].tolist(), y[2][:6]]


def study(name, x, y):
    golden = {"name": name, "x": x, "y": y, "pearson": None, "raw": None, "partial": None}
    x, y = ([np.round(seed, 12) for seed in metric] for metric in (x, y))
    pairs = [(a, b) for a, b in zip(x, y) if len(a) >= 3 and np.ptp(a) > 0 and np.ptp(b) > 0]
    golden |= {"ranks": [seed.tolist() for seed in ranks(x)], "n": sum(len(a) for a, _ in pairs or zip(x, y))}
    alike = len({len(seed) for seed in x}) == 1
    if pairs:
        golden["pearson"] = np.mean([stats.pearsonr(*pair).statistic for pair in pairs])
        golden["raw"] = estimate(pairs)
        if alike and factorial(len(x[0])) ** len(pairs) <= EXACT:
            of_x, of_y = map(ranks, zip(*pairs))
            size = lambda *ys, axis: abs(sum(stats.pearsonr(a, b, axis=axis).statistic for a, b in zip(of_x, ys)))
            golden["raw"]["p_value"] = permuted(of_y, size)
    if len(x) > 1 and alike and len(x[0]) >= 3:
        # Residuals of a regression with a category per step; rounded, so that rounding makes no order.
        category = np.tile(np.eye(len(x[0])), (len(x), 1))
        x, y = (sm.OLS(np.ravel(m), category).fit().resid.reshape(np.shape(m)).round(7) for m in (x, y))
        if np.ptp(x, axis=1).all() and np.ptp(y, axis=1).all():
            golden["partial"] = estimate(list(zip(x, y)), sqrt((len(x) - 1) / (len(x) - 2)) if len(x) > 2 else None)
            del golden["partial"]["t_test"]  # Its test is that of the pairings.
            if factorial(len(x)) <= EXACT:
                agreement = np.array([[stats.spearmanr(a, b).statistic for b in y] for a in x])
                size = lambda order, axis: abs(agreement[np.arange(len(x)), order].sum(axis))
                golden["partial"]["p_value"] = permuted([np.arange(len(x))], size)
    return golden


def ranks(metric):
    return [stats.rankdata(seed) for seed in metric]


def estimate(pairs, inflation=1.0):
    """The mean over seeds of Spearman's correlation, with its interval if there is an inflation of its standard error."""
    rhos, n = np.array([stats.spearmanr(*pair).statistic for pair in pairs]), np.array([len(a) for a, _ in pairs])
    of_x, of_y = map(ranks, zip(*pairs))
    if len(pairs) >= 3 and len(set(n)) == 1 and all(len(set(seed)) == len(seed) for seed in of_x + of_y):
        # Ranks with the same variance in every seed: the mean is pingouin's repeated measures correlation.
        columns = {"seed": np.repeat(range(len(n)), n), "x": np.ravel(of_x), "y": np.ravel(of_y)}
        agreed(rhos.mean(), pingouin.rm_corr(pd.DataFrame(columns), "x", "y", "seed")["r"].item())
    low = high = None
    if len(pairs) > 1 and inflation and min(n) >= (6 if len(pairs) == 2 else 4):
        half_step = 6 / (n**3 - n)
        z = np.arctanh(np.clip(rhos, half_step - 1, 1 - half_step))
        ends = np.tanh(z.mean() + inflation * stats.sem(z) * np.array(stats.t.interval(0.95, len(z) - 1)))
        least = np.clip(rhos.mean() + max(half_step) * np.array([-1, 1]), -1, 1)
        low, high = min(ends[0], least[0]), max(ends[1], least[1])
    t_test = None if low is None else correlation_t_test(rhos.mean(), z, max(half_step))
    return {"mean": rhos.mean(), "low": low, "high": high, "t_test": t_test}


def correlation_t_test(mean, z, half_step):
    """That the correlation is 0: 1 within half a step, else Student's t-test of z."""
    if mean * np.sign(z.mean()) <= half_step:
        return 1.0
    size = min(np.tanh(abs(z.mean())), 1 - half_step)
    least = (np.arctanh(size) - np.arctanh(size - half_step)) / sqrt(len(z) - 1)
    if stats.sem(z) >= least:
        return float(stats.ttest_1samp(z, 0).pvalue)
    return float(2 * stats.t.sf(abs(z.mean()) / least, len(z) - 1))


def permuted(samples, size):
    how = {"permutation_type": "pairings", "alternative": "greater", "n_resamples": inf, "vectorized": True}
    return float(stats.permutation_test(samples, size, **how).pvalue)


def mean(values):
    low, high = DescrStatsW(values).tconfint_mean() if len(values) > 1 else (None, None)
    p_value = None
    if len(values) > 1:
        p_value = 0.0 if np.ptp(values) == 0 else float(stats.ttest_1samp(values, 0).pvalue)
    return {"values": values.tolist(), "mean_low_high": [values.mean(), low, high], "t_test": p_value}


def family(p_values):
    q_values = agreed(stats.false_discovery_control(p_values), multipletests(p_values, method="fdr_bh")[1])
    adjusted = multipletests(p_values, method="holm")[1]
    return {"p_values": p_values.tolist(), "q_values": q_values.tolist(), "holm": adjusted.tolist()}


def fit(x, y):
    """The slope of a line; a parabola's curvature and vertex if there are 4 points or more at 3 or more values of x."""
    golden, away = {"x": x.tolist(), "y": y.tolist(), "slope": None, "parabola": None}, x - x.mean()
    if len(set(x)) >= 2:
        golden["slope"] = agreed(stats.linregress(x, y).slope, sm.OLS(y, sm.add_constant(away)).fit().params[1])
    if len(set(x)) >= 3 and len(x) >= 4:
        curve, (c, b, _) = np.polynomial.Polynomial.fit(x, y, 2), np.polyfit(away, y, 2)
        vertex = agreed(x.mean() - b / (2 * c), curve.deriv().roots()[0])
        golden["parabola"] = {"curvature": agreed(c, curve.deriv(2)(0) / 2), "vertex": vertex}
    return golden


def levels(values, weights):
    """Two levels: a regression tree with one split."""
    golden = {"values": values.tolist(), "weights": weights.tolist(), "levels": None}
    time = np.arange(len(values))[:, None]
    tree = DecisionTreeRegressor(max_leaf_nodes=2, min_samples_leaf=2).fit(time, values, weights)
    if tree.get_n_leaves() == 2:
        at, (before, after) = int(tree.tree_.threshold[0] + 1), tree.predict(time)[[0, -1]]
        explained = tree.score(time, values, weights)
        golden["levels"] = {"at": at, "before": before, "after": after, "explained": explained}
    return golden


if __name__ == "__main__":
    main()
