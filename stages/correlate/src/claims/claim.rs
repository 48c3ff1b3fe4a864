//! What a claim is, and how its statistic is computed over seeds.

use cli::number::prose;
use declarations::Part;
use schemas::enums::Verdict;

use super::hypothesis::{Alternative, Test};
use crate::association::{distinct, named};
use crate::inputs::{Dataset, Run, Seed};
use crate::interval::Estimate;
use crate::power::seeds_needed;
use crate::rank::Correlation;

/// A dataset whose trainings test a claim, and the study around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'study> {
    /// The dataset.
    pub(super) dataset: &'study Dataset,
    /// All datasets, this one among them.
    pub(super) study: &'study [Dataset],
    /// How often samples are resampled.
    pub(super) replicates: usize,
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
    /// What the claim predicts for it.
    pub(super) alternative: Alternative,
}

/// The evidence on a claim, before the correction.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    /// The claim.
    pub(super) claim: Claim,
    /// The run that decides; empty if none can.
    pub(super) run: String,
    /// Seeds.
    pub(super) n: usize,
    /// The statistic: its mean over seeds.
    pub(super) value: Option<f64>,
    /// The estimate behind the value, if it is a mean over seeds.
    pub(super) estimate: Option<Estimate>,
    /// The 95 % interval of a bootstrap over seeds and samples, if it is a statistic of samples.
    pub(super) bootstrap: Option<(f64, f64)>,
    /// What must be certain too for the claim to be supported.
    pub(super) condition: Option<Condition>,
    /// Where the study gives no threshold, how the verdict depends on ours.
    pub(super) sensitivity: Sensitivity,
    /// How it is decided.
    pub(super) decision: Decision,
    /// The evidence in words.
    pub(super) reason: String,
}

/// A condition of support beside the statistic: that another mean over seeds is above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Condition {
    /// What must be certain, in words.
    pub(super) what: &'static str,
    /// The mean that must be above 0.
    pub(super) estimate: Estimate,
}

impl Condition {
    /// The two-sided p-value of its t-test.
    pub(super) fn p_value(&self) -> Option<f64> {
        self.estimate.p_value(0.0)
    }

    /// Whether a test at this level says that it holds.
    pub(super) fn holds(&self, level: f64) -> bool {
        self.estimate.mean > 0.0 && self.p_value().is_some_and(|p_value| p_value <= level)
    }

    /// The seeds with which a test at this level says so with a probability of 80 %, if it is as here.
    pub(super) fn seeds_needed(&self, level: f64) -> Option<u32> {
        seeds_needed(self.estimate.effect(0.0)?, level)
    }
}

/// How a verdict depends on its threshold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Sensitivity {
    /// The threshold is the claim's own.
    #[default]
    Given,
    /// The threshold is ours, and the estimate says what others would decide.
    Ours,
    /// The threshold is ours, and this says what others would decide.
    Words(String),
}

/// How a claim is decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Decision {
    /// No test: the verdict is exact, or the data allow none.
    Untested(Verdict),
    /// A test, which belongs to the family.
    Tested(Test),
}

impl From<Option<Test>> for Decision {
    /// Without a test the claim is inconclusive.
    fn from(test: Option<Test>) -> Self {
        test.map_or(Self::Untested(Verdict::Inconclusive), Self::Tested)
    }
}

impl Claim {
    /// Evidence from a statistic of one training: its mean over seeds, tested by Student's t. Seeds that have none are left out
    /// and named; if none has one, the claim is not tested.
    pub(super) fn per_seed(
        &self,
        case: Case<'_>,
        needs: &[Part],
        statistic: impl Fn(&Seed) -> Result<f64, String>,
    ) -> Evidence {
        self.per_seed_of_snapshots(case, needs, 0.0, statistic)
    }

    /// The same where the statistic is computed from the steps of `snapshots` snapshots, each with a resolution of half of the
    /// widest gap between snapshots.
    pub(super) fn per_seed_of_snapshots(
        &self,
        case: Case<'_>,
        needs: &[Part],
        snapshots: f64,
        statistic: impl Fn(&Seed) -> Result<f64, String>,
    ) -> Evidence {
        let run = match subject(case.dataset, needs) {
            Ok(run) => run,
            Err(reason) => return self.not_tested("", reason),
        };
        let (values, left_out) = part(run.seeds.iter().map(|seed| (seed.seed, statistic(seed))));
        let gap = case.dataset.steps.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
        let half_step = snapshots * f64::from(gap) / 2.0;
        self.t_test(&run.name, Estimate::over(&values).map(|estimate| estimate.known_to(half_step)), &left_out)
    }

    /// Evidence from Spearman's correlation in each training, on the scale of Fisher's z.
    pub(super) fn per_seed_correlation(
        &self,
        case: Case<'_>,
        needs: &[Part],
        correlation: impl Fn(&Seed) -> Result<Correlation, String>,
    ) -> Evidence {
        match subject(case.dataset, needs) {
            Err(reason) => self.not_tested("", reason),
            Ok(run) => {
                let seeds = run.seeds.iter().map(|seed| (seed.seed, correlation(seed)));
                let (correlations, left_out) = part(seeds);
                self.t_test(&run.name, Estimate::of_correlations(&correlations), &left_out)
            }
        }
    }

    /// Evidence from one value per seed.
    pub(super) fn over(&self, run: &str, seeds: impl Iterator<Item = (u64, Result<f64, String>)>) -> Evidence {
        let (values, left_out) = part(seeds);
        self.t_test(run, Estimate::over(&values), &left_out)
    }

    /// Evidence from an estimate over seeds, tested by Student's t.
    pub(super) fn t_test(&self, run: &str, estimate: Option<Estimate>, left_out: &LeftOut) -> Evidence {
        let test = estimate.and_then(|estimate| self.alternative.t_test(&estimate));
        self.tested(run, estimate, test, left_out)
    }

    /// Evidence from an estimate over seeds, which is none if no seed has a value, and a test of it, if there is one. The seeds
    /// left out are named.
    pub(super) fn tested(
        &self,
        run: &str,
        estimate: Option<Estimate>,
        test: Option<Test>,
        left_out: &LeftOut,
    ) -> Evidence {
        let Some(estimate) = estimate else {
            return self.not_tested(run, distinct(left_out).join("; "));
        };
        let mut reason = interval_in_words(&estimate);
        if let Some(interval) = estimate.interval {
            reason.push_str(&format!(", {}", self.alternative.place(interval)));
        }
        reason.push_str(&left_out_in_words(left_out));
        Evidence {
            value: Some(estimate.mean),
            estimate: Some(estimate),
            ..self.evidence(run, estimate.n, test.into(), reason)
        }
    }

    /// Why the data cannot decide.
    pub(super) fn not_tested(&self, run: &str, reason: impl Into<String>) -> Evidence {
        self.evidence(run, 0, Decision::Untested(Verdict::NotTested), reason.into())
    }

    /// Evidence without a value.
    pub(super) fn evidence(&self, run: &str, n: usize, decision: Decision, reason: String) -> Evidence {
        Evidence {
            claim: *self,
            run: run.to_owned(),
            n,
            value: None,
            estimate: None,
            bootstrap: None,
            condition: None,
            sensitivity: Sensitivity::Given,
            decision,
            reason,
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

/// An estimate in words.
pub(super) fn interval_in_words(estimate: &Estimate) -> String {
    let mean = prose(estimate.mean);
    match estimate.interval {
        None if estimate.n == 1 => format!("{mean} with one seed, which has no interval"),
        None if estimate.n == 2 => format!("{mean} with two seeds, which have no interval"),
        None => format!("{mean} with {} seeds of three observations, which have no interval", estimate.n),
        Some((low, high)) => {
            format!("mean {mean}, 95 % interval {} to {} over {} seeds", prose(low), prose(high), estimate.n)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::verdict::decide;

    const CLAIM: Claim = Claim { name: "c", statement: "s", statistic: "x", alternative: Alternative::Less(0.0) };

    #[test]
    fn the_test_and_the_threshold_decide() {
        let verdict = |alternative: Alternative, values: &[f64]| {
            let evidence = Claim { alternative, ..CLAIM }.t_test("run_3", Estimate::over(values), &[]);
            decide(vec![evidence]).remove(0).verdict
        };
        let (near, far) = ([1.0, 1.1, 0.9], [-1.0, 1.0, 0.3]);
        let table = [
            (Alternative::Greater(0.0), Verdict::Supported, Verdict::Inconclusive),
            (Alternative::Greater(2.0), Verdict::Refuted, Verdict::Inconclusive),
            (Alternative::Less(2.0), Verdict::Supported, Verdict::Inconclusive),
            (Alternative::Less(0.5), Verdict::Refuted, Verdict::Inconclusive),
            (Alternative::Within(0.5, 1.5), Verdict::Supported, Verdict::Inconclusive),
            (Alternative::Within(2.0, 9.0), Verdict::Refuted, Verdict::Inconclusive),
            (Alternative::Within(0.5, 1.05), Verdict::Inconclusive, Verdict::Inconclusive),
            (Alternative::TwoSided(0.0), Verdict::Supported, Verdict::Inconclusive),
            (Alternative::TwoSided(1.0), Verdict::Inconclusive, Verdict::Inconclusive),
        ];
        for (alternative, expected_near, expected_far) in table {
            assert_eq!(verdict(alternative, &near), expected_near, "{alternative:?}");
            assert_eq!(verdict(alternative, &far), expected_far, "{alternative:?}");
            assert_eq!(verdict(alternative, &near[..1]), Verdict::Inconclusive, "{alternative:?}");
            assert_eq!(verdict(alternative, &[]), Verdict::NotTested, "{alternative:?}");
        }
        assert_eq!(verdict(Alternative::Greater(0.0), &[0.0; 3]), Verdict::Inconclusive, "exactly at the threshold");
        assert_eq!(verdict(Alternative::Greater(0.0), &[0.1; 3]), Verdict::Supported, "without any variance");
    }

    #[test]
    fn the_reason_holds_the_numbers() {
        let of = |values: &[f64], left_out: &LeftOut| {
            decide(vec![CLAIM.t_test("run_3", Estimate::over(values), left_out)]).remove(0)
        };
        let finding = of(&[-0.4, -0.42, -0.44], &[(4, "constant".to_owned())]);
        assert_eq!(
            finding.reason,
            "mean −0.420, 95 % interval −0.470 to −0.370 over 3 seeds, 0 is outside; left out: seed 4: constant; \
             p = 0.000755, 0.000755 after Holm's correction for 1 claim"
        );
        assert_eq!((finding.threshold_low, finding.threshold_high, finding.n), (None, Some(0.0), 3));
        let finding = of(&[-0.4], &[]);
        assert_eq!((finding.low, finding.high, finding.p_value, finding.p_adjusted), (None, None, None, None));
        assert_eq!(finding.reason, "−0.400 with one seed, which has no interval");
    }
}
