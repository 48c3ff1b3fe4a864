//! From evidence to verdicts: each claim's test, and the correction over the family of a dataset's claims.

use cli::number::prose;
use schemas::enums::Verdict;
use schemas::tables::Findings;

use super::claim::{Condition, Decision, Evidence, Sensitivity};
use super::hypothesis::{Alternative, Test, TestKind};
use crate::multiple_testing::holm;
use crate::power::{detectable, seeds_needed};

/// The family-wise type-I error: the largest acceptable probability that any claim of a dataset is `supported` or `refuted`
/// although its statistic is at the threshold.
pub(super) const LEVEL: f64 = 0.05;

/// What a study like this one could decide about a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Power {
    /// The value that it would have decided with a probability of 80 %.
    detectable: Option<f64>,
    /// Where the claim is not decided, the seeds that would decide it with this probability.
    seeds_needed: Option<u32>,
}

impl Power {
    /// The power of a test of `evidence` at this level: that of a t-test, which for the exact test of pairings is an approximation
    /// from below. A test that cannot reject has none, however large the effect.
    fn of(evidence: &Evidence, test: Test, level: f64, decided: bool) -> Self {
        let alternative = evidence.claim.alternative;
        let fewest = test.kind.fewest_seeds(level);
        let supportable = evidence.condition.is_none_or(|condition| condition.holds(level));
        let estimate = evidence.estimate.and_then(|estimate| Some((estimate, alternative.nearest(estimate.mean)?)));
        let detectable = estimate.filter(|_| supportable).and_then(|(estimate, threshold)| {
            let seeds = u32::try_from(estimate.n).ok().filter(|seeds| *seeds >= fewest)?;
            estimate.above(threshold, detectable(seeds, level) * alternative.side(estimate.mean)?)
        });
        let for_condition = match evidence.condition {
            Some(condition) if test.if_rejected == Verdict::Supported => condition.seeds_needed(level),
            _ => Some(fewest),
        };
        let seeds_needed = match test.kind {
            TestKind::Signs => Some(fewest),
            TestKind::Student | TestKind::Pairings => estimate
                .and_then(|(estimate, threshold)| seeds_needed(estimate.effect(threshold)?, level))
                .and_then(|needed| Some(needed.max(fewest).max(for_condition?))),
        };
        // Where the seeds disagree on a condition of the claim, more of them decide nothing.
        let open = !decided && test.if_rejected != Verdict::Inconclusive;
        Self { detectable, seeds_needed: seeds_needed.filter(|_| open) }
    }

    /// The power as the end of the reason of an inconclusive claim.
    fn in_words(self, evidence: &Evidence, test: Test, level: f64) -> String {
        if test.if_rejected == Verdict::Inconclusive {
            return "; the seeds disagree, so more of them would decide nothing".to_owned();
        }
        let Some(estimate) = evidence.estimate else { return String::new() };
        let needed = self.seeds_needed.map_or("more than 100,000".to_owned(), |seeds| seeds.to_string());
        match self.detectable {
            Some(detectable) => format!(
                "; {} seeds find {} with a probability of 80 %, and what they found needs {needed} seeds",
                estimate.n,
                prose(detectable)
            ),
            // How many seeds can decide anything at all is said already.
            None if self.seeds_needed == Some(test.kind.fewest_seeds(level)) => String::new(),
            None => format!("; what they found needs {needed} seeds"),
        }
    }
}

impl Evidence {
    fn p_value(&self) -> Option<f64> {
        match self.decision {
            Decision::Tested(test) => Some(test.p_value),
            Decision::Untested(_) => None,
        }
    }

    /// The row of `findings`: `adjusted` is the p-value after the correction for `family` tests.
    fn finding(self, adjusted: Option<f64>, family: usize) -> Findings {
        let (level, p_value) = (LEVEL / family.max(1) as f64, self.p_value());
        let (verdict, power, mut reason) = match self.decision {
            Decision::Untested(verdict) => (verdict, Power::default(), self.reason.clone()),
            Decision::Tested(test) => {
                let adjusted = adjusted.unwrap_or(1.0);
                let decided = adjusted <= LEVEL;
                let verdict = if decided { test.if_rejected } else { Verdict::Inconclusive };
                let power = Power::of(&self, test, level, decided);
                let mut reason = format!("{}; {}", self.reason, in_words(test, adjusted, family, self.n));
                if verdict == Verdict::Inconclusive {
                    reason.push_str(&power.in_words(&self, test, level));
                }
                (verdict, power, reason)
            }
        };
        if let Some((low, high)) = self.bootstrap {
            reason.push_str(&format!("; bootstrap over seeds and samples {} to {}", prose(low), prose(high)));
        }
        let (threshold_low, threshold_high) = self.claim.alternative.thresholds();
        Findings {
            sensitivity: self.sensitivity(level, verdict),
            run: self.run,
            claim: self.claim.name.to_owned(),
            statement: self.claim.statement.to_owned(),
            statistic: self.claim.statistic.to_owned(),
            value: self.value,
            low: self.estimate.and_then(|estimate| estimate.low()),
            high: self.estimate.and_then(|estimate| estimate.high()),
            bootstrap_low: self.bootstrap.map(|(low, _)| low),
            bootstrap_high: self.bootstrap.map(|(_, high)| high),
            threshold_low,
            threshold_high,
            p_value,
            p_adjusted: adjusted,
            verdict,
            reason,
            detectable: power.detectable,
            seeds_needed: power.seeds_needed,
            n: u32::try_from(self.n).expect("a study has fewer than 2³² seeds"),
        }
    }

    /// What other thresholds would decide at this level, where the threshold is ours. What is supported has met its condition, if
    /// not at this level, then at a later step of the correction.
    fn sensitivity(&self, level: f64, verdict: Verdict) -> Option<String> {
        match &self.sensitivity {
            Sensitivity::Given => None,
            Sensitivity::Words(words) => Some(words.clone()),
            Sensitivity::Ours => {
                let (low, high) = self.estimate?.not_rejected(level)?;
                let (below, above) = (format!("below {}", prose(low)), format!("above {}", prose(high)));
                let (supported, refuted) = match self.claim.alternative {
                    Alternative::Greater(_) => (below, above),
                    Alternative::Less(_) => (above, below),
                    Alternative::Within(..) | Alternative::TwoSided(_) | Alternative::Rule => return None,
                };
                let open = |condition: &Condition| verdict != Verdict::Supported && !condition.holds(level);
                Some(match self.condition.filter(open) {
                    None => format!("supported with any threshold {supported}, refuted with any {refuted}"),
                    Some(Condition { what, .. }) => format!(
                        "refuted with any threshold {refuted}; supported with none, because {what} is not certain"
                    ),
                })
            }
        }
    }
}

/// Decides every claim of one dataset: `supported` and `refuted` need a p-value of at most [`LEVEL`] after Holm's correction over
/// the claims that have a test. Exact claims have none.
pub(super) fn decide(evidence: Vec<Evidence>) -> Vec<Findings> {
    let p_values: Vec<_> = evidence.iter().map(Evidence::p_value).collect();
    let family = p_values.iter().flatten().count();
    evidence.into_iter().zip(holm(&p_values)).map(|(one, adjusted)| one.finding(adjusted, family)).collect()
}

/// A test in words: its p-values and, if no p-value of so few seeds can be significant, how many seeds are needed.
fn in_words(test: Test, adjusted: f64, family: usize, seeds: usize) -> String {
    let claims = if family == 1 { "claim" } else { "claims" };
    let mut words =
        format!("p = {}, {} after Holm's correction for {family} {claims}", prose(test.p_value), prose(adjusted));
    let (level, smallest) = (LEVEL / family as f64, test.kind.smallest_p_value(seeds));
    if adjusted > LEVEL && smallest > level {
        words.push_str(&format!(
            "; with {seeds} seeds no p-value is below 1/{}, and {} seeds are needed for {LEVEL} after the correction",
            prose(1.0 / smallest),
            test.kind.fewest_seeds(level)
        ));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::claim::Claim;
    use crate::interval::Estimate;

    const CLAIM: Claim = Claim { name: "c", statement: "s", statistic: "x", alternative: Alternative::Less(0.0) };

    fn tested(kind: TestKind, p_value: f64, n: usize) -> Evidence {
        let test = Test { kind, p_value, if_rejected: Verdict::Supported };
        Evidence {
            claim: CLAIM,
            run: "run_3".to_owned(),
            n,
            value: Some(-0.4),
            estimate: None,
            bootstrap: None,
            condition: None,
            sensitivity: Sensitivity::Given,
            decision: Decision::Tested(test),
            reason: "r".to_owned(),
        }
    }

    #[test]
    fn the_corrected_p_value_decides() {
        let exact = Evidence { decision: Decision::Untested(Verdict::Refuted), ..tested(TestKind::Student, 0.0, 3) };
        let findings = decide(vec![
            tested(TestKind::Student, 0.04, 3),
            exact,
            tested(TestKind::Student, 0.012, 3),
            tested(TestKind::Student, 0.03, 3),
        ]);
        let verdicts: Vec<_> = findings.iter().map(|row| row.verdict).collect();
        assert_eq!(verdicts, [Verdict::Inconclusive, Verdict::Refuted, Verdict::Supported, Verdict::Inconclusive]);
        assert_eq!(findings[1].p_value.or(findings[1].p_adjusted), None, "what is exact is no test");
        let adjusted: Vec<_> = findings.iter().filter_map(|row| row.p_adjusted).collect();
        for (adjusted, expected) in adjusted.iter().zip([0.06, 0.036, 0.06]) {
            assert!((adjusted - expected).abs() < 1e-12, "{adjusted}");
        }
        assert_eq!(findings[0].reason, "r; p = 0.0400, 0.0600 after Holm's correction for 3 claims");
    }

    #[test]
    fn too_few_seeds_are_named() {
        let family = |kind, n: usize| {
            let others = (0..17).map(|_| tested(TestKind::Student, 0.5, n));
            let smallest = tested(kind, kind.smallest_p_value(n), n);
            decide(std::iter::once(smallest).chain(others).collect()).swap_remove(0)
        };
        let three = family(TestKind::Pairings, 3);
        assert_eq!(three.verdict, Verdict::Inconclusive);
        assert_eq!(
            three.reason,
            "r; p = 0.167, 1 after Holm's correction for 18 claims; with 3 seeds no p-value is below 1/6, and 6 seeds are \
             needed for 0.05 after the correction"
        );
        assert_eq!(family(TestKind::Pairings, 6).verdict, Verdict::Supported, "1/720 is below 0.05/18");
        assert!(family(TestKind::Signs, 3).reason.contains("below 1/4, and 10 seeds"), "2/2¹⁰ is below 0.05/18");
        assert_eq!(family(TestKind::Signs, 10).verdict, Verdict::Supported);
    }

    #[test]
    fn a_test_that_cannot_reject_finds_nothing() {
        let finding = |kind, n: usize| {
            let values: Vec<f64> = [-0.2, -0.1, 0.1].into_iter().cycle().take(n).collect();
            let undecided = Evidence { estimate: Estimate::over(&values), ..tested(kind, 0.5, n) };
            let others = (0..17).map(|_| tested(TestKind::Student, 0.5, n));
            decide(std::iter::once(undecided).chain(others).collect()).swap_remove(0)
        };
        let three = finding(TestKind::Pairings, 3);
        assert_eq!(three.detectable, None, "{three:?}");
        let needed = three.seeds_needed.expect("more seeds would decide");
        assert!(needed > 6 && three.reason.contains("and 6 seeds are needed"), "{three:?}");
        assert!(
            !three.reason.contains("80 %") && three.reason.ends_with(&format!("needs {needed} seeds")),
            "{three:?}"
        );
        for can_reject in [finding(TestKind::Pairings, 6), finding(TestKind::Student, 3)] {
            assert!(can_reject.detectable < Some(0.0) && can_reject.reason.contains("80 %"), "{can_reject:?}");
        }
    }

    #[test]
    fn a_condition_that_does_not_hold_leaves_nothing_to_support() {
        let with = |rise: &[f64]| {
            let estimate = Estimate::over(rise).expect("seeds");
            let condition = Some(Condition { what: "the rise", estimate });
            let evidence = CLAIM.t_test("run_3", Estimate::over(&[-1.0, -1.1, -0.9]), &[]);
            let Decision::Tested(test) = evidence.decision else { panic!("three seeds have a test") };
            let p_value = test.p_value.max(estimate.p_value(0.0).expect("three seeds"));
            let decision = Decision::Tested(Test { p_value, ..test });
            decide(vec![Evidence { condition, sensitivity: Sensitivity::Ours, decision, ..evidence }]).remove(0)
        };
        let certain = with(&[1.0, 1.1, 0.9]);
        assert_eq!(
            (certain.verdict, certain.sensitivity.as_deref()),
            (Verdict::Supported, Some("supported with any threshold above −0.752, refuted with any below −1.25"))
        );
        let uncertain = with(&[0.1, 2.0, 0.5]);
        assert_eq!(
            (uncertain.verdict, uncertain.sensitivity.as_deref()),
            (
                Verdict::Inconclusive,
                Some("refuted with any threshold below −1.25; supported with none, because the rise is not certain")
            )
        );
        // scipy.stats.nct: a mean of 0.867 with a standard deviation of 1.002 needs 13.
        assert_eq!(
            (uncertain.detectable, uncertain.seeds_needed),
            (None, Some(13)),
            "the rise needs more than the ratio"
        );
        assert!(uncertain.reason.ends_with("; what they found needs 13 seeds"), "{uncertain:?}");
    }

    #[test]
    fn power_stands_beside_what_is_not_decided() {
        let values = [-0.5, 0.1, -0.3, -0.2, 0.2, -0.4, 0.0, -0.1];
        let finding = decide(vec![CLAIM.t_test("run_3", Estimate::over(&values), &[])]).remove(0);
        // The mean is −0.15 and its standard error 0.0866; scipy.stats.nct finds 3.2698 of them, and needs 23 seeds.
        assert_eq!((finding.verdict, finding.seeds_needed), (Verdict::Inconclusive, Some(23)));
        assert!((finding.detectable.expect("a test") + 0.283_169_51).abs() < 1e-7, "{finding:?}");
        assert!(
            finding
                .reason
                .ends_with("; 8 seeds find −0.283 with a probability of 80 %, and what they found needs 23 seeds"),
            "{finding:?}"
        );
        let shifted = values.map(|value| value - 1.0);
        let decided = decide(vec![CLAIM.t_test("run_3", Estimate::over(&shifted), &[])]).remove(0);
        assert_eq!((decided.verdict, decided.seeds_needed), (Verdict::Supported, None));
        let (one, other) = (decided.detectable.expect("a test"), finding.detectable.expect("a test"));
        assert!((one - other).abs() < 1e-9, "it depends on the spread alone");
    }

    #[test]
    fn thresholds_of_ours_say_what_others_would_decide() {
        let ours = |alternative| {
            let claim = Claim { alternative, ..CLAIM };
            let evidence = claim.t_test("run_3", Estimate::over(&[1.0, 2.0, 3.0]), &[]);
            decide(vec![Evidence { sensitivity: Sensitivity::Ours, ..evidence }]).remove(0).sensitivity
        };
        // One claim is not corrected, so that the 95 % interval decides: 2 ± 4.303/√3.
        assert_eq!(
            ours(Alternative::Less(0.0)).as_deref(),
            Some("supported with any threshold above 4.48, refuted with any below −0.484")
        );
        assert_eq!(
            ours(Alternative::Greater(0.0)).as_deref(),
            Some("supported with any threshold below −0.484, refuted with any above 4.48")
        );
    }
}
