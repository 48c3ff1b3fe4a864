//! From evidence to verdicts: each claim's test, and the correction over the family of a dataset's claims.

use cli::number::prose;
use schemas::enums::Verdict;
use schemas::tables::Findings;

use super::claim::{Decision, Evidence};
use super::hypothesis::Test;
use crate::multiple_testing::holm;

/// The family-wise type-I error: the largest acceptable probability that any claim of a dataset is `supported` or `refuted`
/// although its statistic is at the threshold.
pub(super) const LEVEL: f64 = 0.05;

impl Evidence {
    fn p_value(&self) -> Option<f64> {
        match self.decision {
            Decision::Tested(test) => Some(test.p_value),
            Decision::Untested(_) => None,
        }
    }

    /// The row of `findings`: `adjusted` is the p-value after the correction for `family` tests.
    fn finding(self, adjusted: Option<f64>, family: usize) -> Findings {
        let p_value = self.p_value();
        let (verdict, reason) = match self.decision {
            Decision::Untested(verdict) => (verdict, self.reason),
            Decision::Tested(test) => {
                let adjusted = adjusted.unwrap_or(1.0);
                let verdict = if adjusted <= LEVEL { test.if_rejected } else { Verdict::Inconclusive };
                (verdict, format!("{}; {}", self.reason, in_words(test, adjusted, family, self.n)))
            }
        };
        let (threshold_low, threshold_high) = self.claim.alternative.thresholds();
        Findings {
            run: self.run,
            claim: self.claim.name.to_owned(),
            statement: self.claim.statement.to_owned(),
            statistic: self.claim.statistic.to_owned(),
            value: self.value,
            low: self.interval.map(|(low, _)| low),
            high: self.interval.map(|(_, high)| high),
            threshold_low,
            threshold_high,
            p_value,
            p_adjusted: adjusted,
            verdict,
            reason,
            n: u32::try_from(self.n).expect("a study has fewer than 2³² seeds"),
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
    let enough = |seeds: &usize| test.kind.smallest_p_value(*seeds) <= LEVEL / family as f64;
    if adjusted > LEVEL && !enough(&seeds) {
        let needed = (seeds..).find(enough).unwrap_or(seeds);
        let smallest = prose(1.0 / test.kind.smallest_p_value(seeds));
        words.push_str(&format!(
            "; with {seeds} seeds no p-value is below 1/{smallest}, and {needed} seeds are needed for {LEVEL} after the correction"
        ));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::claim::Claim;
    use crate::claims::hypothesis::{Alternative, TestKind};

    const CLAIM: Claim = Claim { name: "c", statement: "s", statistic: "x", alternative: Alternative::Less(0.0) };

    fn tested(kind: TestKind, p_value: f64, n: usize) -> Evidence {
        let test = Test { kind, p_value, if_rejected: Verdict::Supported };
        Evidence {
            claim: CLAIM,
            run: "run_3".to_owned(),
            n,
            value: Some(-0.4),
            interval: Some((-0.6, -0.2)),
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
}
