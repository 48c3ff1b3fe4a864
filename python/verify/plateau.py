"""Two claims from the literature: generations repeat themselves on the early plateau of the loss, and attention settles
before that repetition falls. Series are over steps; what a series does not do is null."""

import numpy as np

# The share of the loss's whole fall below which a run rests, and above which the loss falls.
REST = 0.1
# The least fall of repetition after its peak that is one.
FALL = 0.05


def plateau(loss):
    """The steps of the first longest run of three or more snapshots after the untrained one, in the first half of the
    training, over which the loss falls by less than a tenth of its whole fall, while it falls by more after it, and at
    most half as fast as it does afterwards over as many updates."""
    early = loss.iloc[1:][2 * loss.index[1:] <= loss.index[-1]]
    whole = loss.iloc[0] - loss.min()
    rests = []
    for first in range(len(early)):
        for end in range(first + 3, len(early) + 1):
            run = early.iloc[first:end]
            fall, updates = run.iloc[0] - run.iloc[-1], run.index[-1] - run.index[0]
            if fall < REST * whole < run.iloc[-1] - loss.min():
                if 2 * fall / updates <= fastest(loss[loss.index >= run.index[-1]], updates):
                    rests.append(run)
    return max(rests, key=len).index if rests else early.index[:0]


def fastest(loss, updates):
    """The most that the loss falls a step, over so many updates or those that are left."""
    speeds = [0.0]
    for start in loss.index[:-1]:
        later = loss.index[loss.index > start]
        end = min((step for step in later if step - start >= updates), default=later[-1])
        speeds.append((loss[start] - loss[end]) / (end - start))
    return max(speeds)


def repetition_on_plateau(loss, repetition):
    """The mean repetition on the plateau, less that in the last quarter of the steps."""
    return repetition[repetition.index.isin(plateau(loss))].mean() - repetition[last_quarter(repetition)].mean()


def settled_before_fall(repetition, entropy):
    """The step at which repetition has half fallen, less the step at which entropy has settled."""
    return half_fallen(repetition) - settled(entropy)


def half_fallen(series):
    """The first step, from the peak on, at which a series has come half-way down to its mean in the last quarter."""
    end, peak = series[last_quarter(series)].mean(), series.max()
    # Of equal peaks the last.
    after = series[series.index >= series.index[series == peak][-1]]
    fallen = after.index[after <= (peak + end) / 2]
    return float(fallen[0]) if peak - end > FALL and len(fallen) else np.nan


def settled(series):
    """The first step from which on a series stays within a quarter of its whole way from where it ends."""
    away = (series - series.iloc[-1]).abs()
    outside = np.flatnonzero(away > away.max() / 4)
    return float(series.index[outside[-1] + 1]) if len(outside) else np.nan


def last_quarter(series):
    return 4 * series.index >= 3 * series.index[-1]
