//! The tested claims with their verdicts.

use cli::number;
use maud::{Markup, html};
use schemas::enums::Verdict;
use schemas::tables::Findings;

use super::scrolling_table;
use crate::figures::findings::{value_text, verdict_label};

/// The claims by verdict: how many, and which.
pub(super) fn summary(rows: &[Findings]) -> Markup {
    html! {
        @if !rows.is_empty() {
            ul.verdicts {
                @for &verdict in Verdict::ALL {
                    @let of: Vec<&Findings> = rows.iter().filter(|row| row.verdict == verdict).collect();
                    li {
                        span class={ "badge " (verdict.as_str()) } { (number::integer(of.len())) " " (verdict_label(verdict)) }
                        span.claims { (of.iter().map(|row| row.statement.as_str()).collect::<Vec<_>>().join("; ")) }
                    }
                }
            }
        }
    }
}

/// Every claim; none without claims.
pub(super) fn table(rows: &[Findings]) -> Option<Markup> {
    let cells = |row: &Findings| {
        html! {
            td.claim { (row.statement) code.muted { (row.claim) } }
            td { (badge(row.verdict)) }
            td.number { (value_text(row)) }
            td.number { (region(row)) }
            td.number { (number::p_value(row.p_value)) }
            td.number { (number::p_value(row.p_adjusted)) }
            td.reason { (row.statistic) span.muted { (row.reason) } }
        }
    };
    let markup: Vec<Markup> = rows.iter().map(cells).collect();
    let tested = rows.iter().filter(|row| row.p_value.is_some()).count();
    let headings = ["claim", "verdict", "value [95 % interval]", "holds if", "p", "adjusted p", "statistic and reason"];
    (!rows.is_empty()).then(|| {
        html! {
            (scrolling_table("findings", "The study’s claims, tested", &headings, &markup))
            p.note {
                "Value: mean over seeds with its 95 % interval. p: two-sided, of the null hypothesis that the statistic is at its \
                 threshold; adjusted: by Holm’s method over the " (number::integer(tested)) " tests of this dataset. \
                 Supported or refuted: adjusted p ≤ 0.05 on that side of the threshold, or an exact result. Inconclusive: \
                 otherwise."
            }
        }
    })
}

fn badge(verdict: Verdict) -> Markup {
    html! { span class={ "badge " (verdict.as_str()) } { (verdict_label(verdict)) } }
}

/// The values for which a claim holds.
fn region(row: &Findings) -> String {
    let number = number::shortest;
    match (row.threshold_low, row.threshold_high) {
        // Two-sided: every value but the null value.
        (Some(low), Some(high)) if low == high => format!("≠ {}", number(low)),
        (Some(low), Some(high)) => format!("{} to {}", number(low), number(high)),
        (Some(low), None) => format!("> {}", number(low)),
        (None, Some(high)) => format!("< {}", number(high)),
        (None, None) => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_two_sided_claim_holds_for_every_value_but_one() {
        let claim = |low, high| Findings {
            run: "run_3".into(),
            claim: "c".into(),
            statement: "s".into(),
            statistic: "x".into(),
            value: Some(0.4),
            low: Some(0.1),
            high: Some(0.7),
            threshold_low: low,
            threshold_high: high,
            p_value: Some(0.001),
            p_adjusted: Some(0.01),
            verdict: Verdict::Supported,
            reason: "r".into(),
            n: 3,
            bootstrap_low: None,
            bootstrap_high: None,
            detectable: None,
            seeds_needed: None,
            sensitivity: None,
        };
        let regions =
            [(Some(0.0), Some(0.0)), (Some(1.0), Some(2.0)), (Some(0.0), None), (None, Some(0.5)), (None, None)]
                .map(|(low, high)| region(&claim(low, high)));
        assert_eq!(regions, ["≠ 0", "1 to 2", "> 0", "< 0.5", "–"]);
    }
}
