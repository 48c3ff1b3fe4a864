//! What a claim is, and how the numbers decide it.

use cli::Part;
pub(super) use schemas::enums::Verdict;
use schemas::tables::Findings;

use crate::association::{distinct, named};
use crate::inputs::{Dataset, Run, Seed};
use crate::interval::Estimate;
use crate::rank::Correlation;

/// What a claim says of its statistic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Side {
    /// It is above this.
    Above(f64),
    /// It is below this.
    Below(f64),
    /// It is between these.
    Within(f64, f64),
    /// It is not this, whichever way: supported or inconclusive, never refuted.
    Apart(f64),
    /// A rule of the claim's own decides.
    Own,
}

impl Side {
    /// The values above which and below which the claim holds.
    fn thresholds(self) -> (Option<f64>, Option<f64>) {
        match self {
            Side::Above(low) => (Some(low), None),
            Side::Below(high) => (None, Some(high)),
            Side::Within(low, high) => (Some(low), Some(high)),
            Side::Apart(value) => (Some(value), Some(value)),
            Side::Own => (None, None),
        }
    }

    /// The verdict on an interval, and where it lies in words.
    fn judge(self, low: f64, high: f64) -> (Verdict, String) {
        let beside = |value: f64| match () {
            () if low > value => format!("wholly above {}", number(value)),
            () if high < value => format!("wholly below {}", number(value)),
            () => format!("{} is inside", number(value)),
        };
        match self {
            Side::Above(value) if low > value => (Verdict::Supported, beside(value)),
            Side::Above(value) if high <= value => (Verdict::Refuted, format!("not above {}", number(value))),
            Side::Below(value) if high < value => (Verdict::Supported, beside(value)),
            Side::Below(value) if low >= value => (Verdict::Refuted, format!("not below {}", number(value))),
            Side::Apart(value) if low > value || high < value => (Verdict::Supported, beside(value)),
            Side::Above(value) | Side::Below(value) | Side::Apart(value) => (Verdict::Inconclusive, beside(value)),
            Side::Within(from, to) => {
                let (verdict, place) = match () {
                    () if low >= from && high <= to => (Verdict::Supported, "wholly within"),
                    () if high < from || low > to => (Verdict::Refuted, "wholly outside"),
                    () => (Verdict::Inconclusive, "only partly within"),
                };
                (verdict, format!("{place} {} to {}", number(from), number(to)))
            }
            Side::Own => (Verdict::Inconclusive, "no threshold".to_owned()),
        }
    }
}

/// A dataset whose trainings a claim is held against, and the study around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'study> {
    /// The dataset.
    pub(super) dataset: &'study Dataset,
    /// All datasets, this one among them.
    pub(super) study: &'study [Dataset],
}

/// The run that decides: the one with generation quality, if it has the parts that are needed; else the first that has them.
pub(super) fn subject<'study>(dataset: &'study Dataset, needs: &[Part]) -> Result<&'study Run, String> {
    let able = |run: &&Run| needs.iter().all(|part| run.has(*part));
    let mut runs = dataset.runs.iter();
    let quality = runs.clone().find(|run| run.has(Part::Quality)).filter(|run| able(run));
    quality.or_else(|| runs.find(able)).ok_or_else(|| {
        let parts: Vec<_> = needs.iter().map(|part| format!("{part:?}").to_lowercase()).collect();
        format!("no run of {} has {}", dataset.name, parts.join(" and "))
    })
}

/// A claim of the study.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// Its short name.
    pub(super) name: &'static str,
    /// The claim in words.
    pub(super) statement: &'static str,
    /// What is computed.
    pub(super) statistic: &'static str,
    /// What the claim says of it.
    pub(super) side: Side,
}

impl Claim {
    /// Decides by the mean over seeds of a statistic of one training. Seeds that have none are left out and named; if
    /// none has one, the claim is not tested.
    pub(super) fn per_seed(
        &self,
        case: Case<'_>,
        needs: &[Part],
        statistic: impl Fn(&Seed) -> Result<f64, String>,
    ) -> Findings {
        match subject(case.dataset, needs) {
            Ok(run) => self.over(&run.name, run.seeds.iter().map(|seed| (seed.seed, statistic(seed)))),
            Err(reason) => self.not_tested("", reason),
        }
    }

    /// Decides by Spearman's correlation in each training, its interval being Fisher's.
    pub(super) fn per_seed_correlation(
        &self,
        case: Case<'_>,
        needs: &[Part],
        correlation: impl Fn(&Seed) -> Result<Correlation, String>,
    ) -> Findings {
        match subject(case.dataset, needs) {
            Err(reason) => self.not_tested("", reason),
            Ok(run) => {
                let seeds = run.seeds.iter().map(|seed| (seed.seed, correlation(seed)));
                let (correlations, left_out) = part(seeds);
                self.judge(&run.name, Estimate::of_correlations(&correlations), &left_out)
            }
        }
    }

    /// Decides by the mean of one value a seed.
    pub(super) fn over(&self, run: &str, seeds: impl Iterator<Item = (u64, Result<f64, String>)>) -> Findings {
        let (values, left_out) = part(seeds);
        self.judge(run, Estimate::over(&values), &left_out)
    }

    /// Decides by an estimate over seeds, which is none if no seed has a value; the seeds left out, with their reasons, are
    /// named.
    pub(super) fn judge(&self, run: &str, estimate: Option<Estimate>, left_out: &LeftOut) -> Findings {
        let Some(estimate) = estimate else {
            return self.not_tested(run, distinct(left_out).join("; "));
        };
        let (verdict, mut reason) = match estimate.interval {
            None => (Verdict::Inconclusive, format!("{}, which has no interval", interval_in_words(&estimate))),
            Some((low, high)) => {
                let (verdict, place) = self.side.judge(low, high);
                (verdict, format!("{}, {place}", interval_in_words(&estimate)))
            }
        };
        reason.push_str(&left_out_in_words(left_out));
        let interval = estimate.interval;
        self.finding(run, Some(estimate.mean), interval, verdict, reason, estimate.n)
    }

    /// Says why the data cannot decide.
    pub(super) fn not_tested(&self, run: &str, reason: impl Into<String>) -> Findings {
        self.finding(run, None, None, Verdict::NotTested, reason.into(), 0)
    }

    /// A row of `findings`.
    pub(super) fn finding(
        &self,
        run: &str,
        value: Option<f64>,
        interval: Option<(f64, f64)>,
        verdict: Verdict,
        reason: String,
        n: usize,
    ) -> Findings {
        let (threshold_low, threshold_high) = self.side.thresholds();
        Findings {
            run: run.to_owned(),
            claim: self.name.to_owned(),
            statement: self.statement.to_owned(),
            statistic: self.statistic.to_owned(),
            value,
            low: interval.map(|(low, _)| low),
            high: interval.map(|(_, high)| high),
            threshold_low,
            threshold_high,
            verdict,
            reason,
            n: n as u32,
        }
    }
}

/// Seeds without a value, and why.
pub(super) type LeftOut = [(u64, String)];

/// The seeds left out, as the end of a reason.
pub(super) fn left_out_in_words(left_out: &LeftOut) -> String {
    named(left_out).iter().map(|seed| format!("; left out: {seed}")).collect()
}

/// The values, and the seeds without one with their reasons.
pub(super) fn part<Value>(
    seeds: impl Iterator<Item = (u64, Result<Value, String>)>,
) -> (Vec<Value>, Vec<(u64, String)>) {
    let (mut values, mut left_out) = (Vec::new(), Vec::new());
    for (seed, outcome) in seeds {
        match outcome {
            Ok(value) => values.push(value),
            Err(reason) => left_out.push((seed, reason)),
        }
    }
    (values, left_out)
}

/// An estimate as a person reads it.
pub(super) fn interval_in_words(estimate: &Estimate) -> String {
    let mean = number(estimate.mean);
    match estimate.interval {
        None if estimate.n == 1 => format!("{mean} with one seed"),
        None if estimate.n == 2 => format!("{mean} with two seeds"),
        None => format!("{mean} with {} seeds of three observations", estimate.n),
        Some((low, high)) => {
            format!("mean {mean}, 95 % interval {} to {} over {} seeds", number(low), number(high), estimate.n)
        }
    }
}

/// A number with three significant digits and a proper minus.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    let text = match () {
        () if value == 0.0 => "0".to_owned(),
        () if value.fract() == 0.0 && size < 1e6 => format!("{value:.0}"),
        () if !(1e-4..1e6).contains(&size) => format!("{value:.2e}"),
        () => format!("{value:.*}", (2 - size.log10().floor() as i32).max(0) as usize),
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIM: Claim = Claim { name: "c", statement: "s", statistic: "x", side: Side::Below(0.0) };

    #[test]
    fn the_interval_and_the_threshold_decide() {
        let verdict =
            |side: Side, values: &[f64]| Claim { side, ..CLAIM }.judge("run_3", Estimate::over(values), &[]).verdict;
        let (near, far) = ([1.0, 1.1, 0.9], [-1.0, 1.0, 0.3]);
        let table = [
            (Side::Above(0.0), Verdict::Supported, Verdict::Inconclusive),
            (Side::Above(2.0), Verdict::Refuted, Verdict::Inconclusive),
            (Side::Below(2.0), Verdict::Supported, Verdict::Inconclusive),
            (Side::Below(0.5), Verdict::Refuted, Verdict::Inconclusive),
            (Side::Within(0.5, 1.5), Verdict::Supported, Verdict::Inconclusive),
            (Side::Within(2.0, 9.0), Verdict::Refuted, Verdict::Inconclusive),
            (Side::Apart(0.0), Verdict::Supported, Verdict::Inconclusive),
            (Side::Apart(1.0), Verdict::Inconclusive, Verdict::Inconclusive),
        ];
        for (side, expected_near, expected_far) in table {
            assert_eq!(verdict(side, &near), expected_near, "{side:?}");
            assert_eq!(verdict(side, &far), expected_far, "{side:?}");
            assert_eq!(verdict(side, &near[..1]), Verdict::Inconclusive, "{side:?}");
            assert_eq!(verdict(side, &[]), Verdict::NotTested, "{side:?}");
        }
        // A claim of more than nothing is refuted by nothing at all.
        assert_eq!(verdict(Side::Above(0.0), &[0.0; 3]), Verdict::Refuted);
    }

    #[test]
    fn the_reason_holds_the_numbers() {
        let finding = CLAIM.judge("run_3", Estimate::over(&[-0.4, -0.42, -0.44]), &[(4, "constant".to_owned())]);
        assert_eq!(
            finding.reason,
            "mean −0.420, 95 % interval −0.470 to −0.370 over 3 seeds, wholly below 0; left out: seed 4: constant"
        );
        assert_eq!((finding.threshold_low, finding.threshold_high, finding.n), (None, Some(0.0), 3));
        let finding = CLAIM.judge("run_3", Estimate::over(&[-0.4]), &[]);
        assert_eq!((finding.low, finding.high), (None, None));
        assert_eq!(finding.reason, "−0.400 with one seed, which has no interval");
    }

    #[test]
    fn numbers_are_short() {
        let written: Vec<_> = [0.0, -0.4213, 1500.0, 1633.25, 0.00001234, 12.345].into_iter().map(number).collect();
        assert_eq!(written, ["0", "−0.421", "1500", "1633", "1.23e−5", "12.3"]);
    }
}
