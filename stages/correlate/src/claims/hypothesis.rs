//! What a claim predicts of its statistic, and the tests of the null hypothesis.

use cli::number::prose;
use schemas::enums::Verdict;

use crate::interval::Estimate;

/// What a claim predicts for its statistic: the alternative hypothesis. The null hypothesis is that it equals the threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Alternative {
    /// It is greater than this.
    Greater(f64),
    /// It is less than this.
    Less(f64),
    /// It is between these.
    Within(f64, f64),
    /// It is not this: supported or inconclusive, never refuted.
    TwoSided(f64),
    /// The claim has a decision rule of its own.
    Rule,
}

impl Alternative {
    /// The values above which and below which the claim holds.
    pub(super) fn thresholds(self) -> (Option<f64>, Option<f64>) {
        match self {
            Alternative::Greater(low) => (Some(low), None),
            Alternative::Less(high) => (None, Some(high)),
            Alternative::Within(low, high) => (Some(low), Some(high)),
            Alternative::TwoSided(value) => (Some(value), Some(value)),
            Alternative::Rule => (None, None),
        }
    }

    /// The threshold that is hardest to exclude for a statistic of this value: the nearest one.
    pub(super) fn nearest(self, value: f64) -> Option<f64> {
        let (low, high) = self.thresholds();
        [low, high].into_iter().flatten().min_by(|one, other| (one - value).abs().total_cmp(&(other - value).abs()))
    }

    /// On which side of its one threshold the claim holds, as a sign; where it holds on both, the side of this value.
    pub(super) fn side(self, value: f64) -> Option<f64> {
        match self {
            Alternative::Greater(_) => Some(1.0),
            Alternative::Less(_) => Some(-1.0),
            Alternative::TwoSided(threshold) => Some((value - threshold).signum()),
            Alternative::Within(..) | Alternative::Rule => None,
        }
    }

    /// The t-test of an estimate, none without an interval. Of two thresholds, such as an equivalence test has, the one that
    /// is harder to exclude decides.
    pub(super) fn t_test(self, estimate: &Estimate) -> Option<Test> {
        let (low, high) = self.thresholds();
        let p_values = [low, high].into_iter().flatten().filter_map(|threshold| estimate.p_value(threshold));
        let p_value = p_values.reduce(f64::max)?;
        Some(Test { kind: TestKind::Student, p_value, if_rejected: self.verdict(estimate.mean) })
    }

    /// The verdict if the null hypothesis is rejected and the statistic has this value.
    pub(super) fn verdict(self, value: f64) -> Verdict {
        let holds = match self {
            Alternative::Greater(low) => value > low,
            Alternative::Less(high) => value < high,
            Alternative::Within(low, high) => (low..=high).contains(&value),
            Alternative::TwoSided(_) => true,
            Alternative::Rule => return Verdict::Inconclusive,
        };
        if holds { Verdict::Supported } else { Verdict::Refuted }
    }

    /// The position of an interval relative to the threshold, in words.
    pub(super) fn place(self, (low, high): (f64, f64)) -> String {
        match self {
            Alternative::Within(from, to) => {
                let place = match () {
                    () if low >= from && high <= to => "within",
                    () if high < from || low > to => "outside",
                    () => "only partly within",
                };
                format!("{place} {} to {}", prose(from), prose(to))
            }
            Alternative::Greater(value) | Alternative::Less(value) | Alternative::TwoSided(value) => {
                let place = if low <= value && value <= high { "inside" } else { "outside" };
                format!("{} is {place}", prose(value))
            }
            Alternative::Rule => "no threshold".to_owned(),
        }
    }
}

/// A test of the null hypothesis that a claim's statistic is at its threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Test {
    /// The kind of test.
    pub(super) kind: TestKind,
    /// The two-sided p-value before the correction.
    pub(super) p_value: f64,
    /// The verdict if the null hypothesis is rejected; inconclusive if not.
    pub(super) if_rejected: Verdict,
}

/// A kind of test, which decides how small p-values can be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum TestKind {
    /// Student's t over seeds: any p-value.
    Student,
    /// All pairings of seeds ([`crate::partial::Partial::p_value`]).
    Pairings,
    /// The sign test: seeds in which something holds, and in which not, each with probability 1/2.
    Signs,
}

impl TestKind {
    /// The smallest p-value that is possible with this many seeds.
    pub(super) fn smallest_p_value(self, seeds: usize) -> f64 {
        match self {
            TestKind::Student => 0.0,
            TestKind::Pairings => (1..=seeds).map(|seeds| 1.0 / seeds as f64).product(),
            TestKind::Signs => 2.0 * 0.5_f64.powf(seeds as f64),
        }
    }

    /// The fewest seeds with which a p-value of `level` is possible.
    pub(super) fn fewest_seeds(self, level: f64) -> u32 {
        (2..).find(|seeds| self.smallest_p_value(*seeds as usize) <= level).unwrap_or(u32::MAX)
    }
}
