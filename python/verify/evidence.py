"""The evidence for a claim: the tables of a run's trainings, and a statistic over seeds with its test."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import statistics
from .study import last_samples, metric_series, outcome_series, trainings


class NotTested(Exception):
    """The data that a claim needs are missing."""


@dataclass(frozen=True)
class Found:
    """A statistic over `n` seeds. `test` gives the two-sided p-value against a threshold; `p_value`, if given,
    replaces it. `student` is behind the power. `rise`, if given, is of what must be above 0 for support. `verdict`, if given,
    is the verdict when the null hypothesis is rejected, instead of one by the side of the threshold; without a p-value it is
    exact."""

    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    n: int = 0
    test: Callable = lambda threshold: np.nan
    p_value: float | None = None
    verdict: str | None = None
    student: statistics.Student | None = None
    fewest: Callable = lambda level: 2  # the seeds with which a p-value of `level` is possible
    rise: statistics.Student | None = None
    sensitivity: str | None = None  # what other thresholds decide, if the statistic says so itself
    samples: tuple = ()  # (x, y) of the samples of each seed, if it is a statistic of samples

    def supportable(self, level):
        return self.rise is None or self.rise.p_value(0) <= level


class Evidence:
    """The tables of a run's trainings on a dataset, by seed. `runs` are all runs of the study, in order."""

    def __init__(self, store, dataset, run, runs):
        self.store, self.dataset, self.run, self.runs = store, dataset, run, runs

    def read(self, table):
        """A table of each seed, which must exist."""
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
            raise NotTested("no attention during generation")
        return [last_samples(self.store, of_seed) for of_seed in keys]

    def last(self, table):
        """The last step's rows of each seed."""
        return [frame[frame["step"] == frame["step"].max()] for frame in self.read(table)]

    @property
    def layers(self):
        return int(self.last("layer_metrics")[0]["layer"].max()) + 1


def over_seeds(statistic):
    """A claim whose statistic is computed once per seed: value, interval and t-test over the seeds that have one."""
    return lambda evidence: of_values(statistic(evidence))


def of_values(values, half_step=0.0):
    count = np.count_nonzero(~np.isnan(values))
    test = lambda threshold: statistics.t_test(values, threshold, half_step)
    return Found(*statistics.interval(values), count, test, student=statistics.student(values, half_step))


def half_gap(evidence):
    """Half of the widest gap between snapshots: the resolution of a step; 0 with a single snapshot."""
    return np.diff(evidence.metrics[0]["entropy_nats"].index).max(initial=0) / 2


def correlation_over_seeds(pairs, of_samples=False):
    """A claim whose statistic is Spearman's correlation of (x, y) in each seed."""

    def claim(evidence):
        found = pairs(evidence)
        correlated = [(statistics.spearman(x, y), len(x)) for x, y in found]
        correlated = [pair for pair in correlated if not math.isnan(pair[0])]
        test = lambda threshold: statistics.correlation_t_test(found, threshold)
        student = statistics.correlation_student(*zip(*correlated)) if correlated else None
        samples = tuple(found) if of_samples else ()
        return Found(
            *statistics.correlations_over_seeds(found), len(correlated), test, student=student, samples=samples
        )

    return claim
