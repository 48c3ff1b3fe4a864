"""Two claims from the literature: generations are repetitive on the early plateau of the loss, and attention settles before
repetition falls. Series are indexed by step; the step of an event that does not occur is null."""

import numpy as np

# The share of the loss's total decrease below which a decrease counts as flat.
FLAT = 0.1
# The smallest decrease of repetition after its peak that counts as one.
FALL = 0.05


def plateau(loss):
    """The steps of the first longest run of three or more snapshots after the untrained one, in the first half of the
    training, over which the loss decreases by less than a tenth of its total decrease, while it decreases by more
    afterwards, and at most half as fast as it does afterwards over as many steps."""
    early = loss.iloc[1:][2 * loss.index[1:] <= loss.index[-1]]
    total = loss.iloc[0] - loss.min()
    flat = []
    for first in range(len(early)):
        for end in range(first + 3, len(early) + 1):
            run = early.iloc[first:end]
            fall, steps = run.iloc[0] - run.iloc[-1], run.index[-1] - run.index[0]
            if fall < FLAT * total < run.iloc[-1] - loss.min():
                if 2 * fall / steps <= fastest(loss[loss.index >= run.index[-1]], steps):
                    flat.append(run)
    return max(flat, key=len).index if flat else early.index[:0]


def fastest(loss, steps):
    """The largest decrease of the loss per step, over `steps` steps, or to the end."""
    speeds = [0.0]
    for start in loss.index[:-1]:
        later = loss.index[loss.index > start]
        end = min((step for step in later if step - start >= steps), default=later[-1])
        speeds.append((loss[start] - loss[end]) / (end - start))
    return max(speeds)


def repetition_on_plateau(loss, repetition):
    """The mean repetition on the plateau, minus that in the last quarter of the steps."""
    return repetition[repetition.index.isin(plateau(loss))].mean() - repetition[last_quarter(repetition)].mean()


def settled_before_fall(repetition, entropy):
    """The step at which repetition has half fallen, minus the step at which entropy has settled."""
    return half_fallen(repetition) - settled(entropy)


def half_fallen(series):
    """The first step, from the peak on, at which a series is half-way down to its mean in the last quarter."""
    end, peak = series[last_quarter(series)].mean(), series.max()
    # Of equal peaks the last.
    after = series[series.index >= series.index[series == peak][-1]]
    fallen = after.index[after <= (peak + end) / 2]
    return float(fallen[0]) if peak - end > FALL and len(fallen) else np.nan


def settled(series):
    """The first step from which on a series stays within a quarter of its largest distance from its final value."""
    away = (series - series.iloc[-1]).abs()
    outside = np.flatnonzero(away > away.max() / 4)
    return float(series.index[outside[-1] + 1]) if len(outside) else np.nan


def last_quarter(series):
    return 4 * series.index >= 3 * series.index[-1]
