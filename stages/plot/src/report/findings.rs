//! The tested claims with their verdicts.

use cli::number;
use maud::{Markup, html};
use schemas::enums::Verdict;
use schemas::tables::Findings;

use super::scrolling_table;
use crate::figures::findings::{value_text, verdict_label};

/// The claims by verdict: how many, and which; of an inconclusive one the seeds that would decide it.
pub(super) fn summary(rows: &[Findings]) -> Markup {
    html! {
        @if !rows.is_empty() {
            ul.verdicts {
                @for &verdict in Verdict::ALL {
                    @let of: Vec<&Findings> = rows.iter().filter(|row| row.verdict == verdict).collect();
                    @if !of.is_empty() {
                        li {
                            span class={ "badge " (verdict.as_str()) } {
                                (number::integer(of.len())) " " (verdict_label(verdict))
                            }
                            ul.claims {
                                @for row in of {
                                    li {
                                        (row.statement)
                                        @if let Some(seeds) = row.seeds_needed {
                                            span.needed { (number::integer(seeds)) " seeds" }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            @if rows.iter().any(|row| row.seeds_needed.is_some()) {
                p.note {
                    "Beside an inconclusive claim: the seeds that would decide it with a probability of 80 %, if the effect is \
                     as large as here; this study has " (number::integer(rows.iter().map(|row| row.n).max().unwrap_or(0))) "."
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
            td.verdict { (badge(row.verdict)) (could_decide(row)) }
            td.number {
                (value_text(row))
                @if let Some(bootstrap) = row.bootstrap_low.zip(row.bootstrap_high) {
                    span.muted { "bootstrap [" (short(bootstrap.0)) ", " (short(bootstrap.1)) "]" }
                }
            }
            td.number { (region(row)) }
            td.number {
                (number::p_value(row.p_value))
                @if row.p_adjusted.is_some() { span.muted { "adjusted " (number::p_value(row.p_adjusted)) } }
            }
            td.reason {
                (row.statistic)
                span.muted { (row.reason) }
                @if let Some(sensitivity) = &row.sensitivity {
                    span.sensitivity { b { "Depends on a threshold of ours: " } (sensitivity) }
                }
            }
        }
    };
    let markup: Vec<Markup> = rows.iter().map(cells).collect();
    let tested = rows.iter().filter(|row| row.p_value.is_some()).count();
    let headings = ["claim", "verdict", "value [95 % interval]", "holds if", "p", "statistic and reason"];
    (!rows.is_empty()).then(|| {
        html! {
            (scrolling_table("findings", "The study’s claims, tested", &headings, &markup))
            p.note {
                "Value: mean over seeds with its 95 % interval. p: two-sided, of the null hypothesis that the statistic is at its \
                 threshold; adjusted: by Holm’s method over the " (number::integer(tested)) " tests of this dataset. \
                 Supported or refuted: adjusted p ≤ 0.05 on that side of the threshold, or an exact result. Inconclusive: \
                 otherwise, which is no evidence against a claim."
            }
            p.note {
                "Detectable: the value that these seeds, with their standard deviation, would have decided with a probability of \
                 80 %. Seeds needed: those that would decide with that probability if mean and standard deviation stay as they \
                 are here; with few seeds both are uncertain. Bootstrap: the 95 % interval over seeds and, within them, samples. \
                 Where the study gives no threshold and the one tested is ours, the last column says what others would decide."
            }
        }
    })
}

/// Of an inconclusive claim, what the seeds could have decided and how many would decide it.
fn could_decide(row: &Findings) -> Markup {
    let inconclusive = row.verdict == Verdict::Inconclusive;
    let seeds = |count: u32| if count == 1 { "1 seed".to_owned() } else { format!("{} seeds", number::integer(count)) };
    html! {
        @if inconclusive && (row.detectable.is_some() || row.seeds_needed.is_some()) {
            @if let Some(value) = row.detectable {
                span.muted { "with " (seeds(row.n)) ", detectable: " b { (short(value)) } }
            }
            @if let Some(needed) = row.seeds_needed {
                span.muted { "needed: " b { (seeds(needed)) } }
            }
        }
    }
}

/// Two digits, or a power of ten where that is shorter.
fn short(value: f64) -> String {
    match value.abs() {
        size if size == 0.0 || (0.001..1e6).contains(&size) => number::significant(value, 2),
        _ => number::scientific(value),
    }
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

    fn finding(verdict: Verdict) -> Findings {
        Findings {
            run: "run_3".into(),
            claim: "c".into(),
            statement: "s".into(),
            statistic: "x".into(),
            value: Some(0.4),
            low: Some(0.1),
            high: Some(0.7),
            threshold_low: None,
            threshold_high: None,
            p_value: Some(0.001),
            p_adjusted: Some(0.01),
            verdict,
            reason: "r".into(),
            n: 3,
            bootstrap_low: None,
            bootstrap_high: None,
            detectable: Some(-0.999_999_9),
            seeds_needed: None,
            sensitivity: None,
        }
    }

    #[test]
    fn an_inconclusive_claim_says_what_it_would_take() {
        let open = Findings {
            seeds_needed: Some(46_376),
            bootstrap_low: Some(-0.00042),
            bootstrap_high: Some(0.66),
            sensitivity: Some("refuted with any above 0.3".into()),
            ..finding(Verdict::Inconclusive)
        };
        let html = table(&[open.clone(), finding(Verdict::Supported)]).expect("claims").into_string();
        assert_eq!(html.matches("with 3 seeds, detectable: <b>−1.00<").count(), 1, "{html}");
        assert!(html.contains("needed: <b>46,376 seeds</b>") && html.contains("bootstrap [−4.2e−4, 0.66]"), "{html}");
        assert_eq!(html.matches("Depends on a threshold of ours: </b>refuted with any above 0.3").count(), 1);
        let html = summary(&[open, finding(Verdict::Supported)]).into_string();
        assert!(html.contains("46,376 seeds</span>") && html.contains("this study has 3."), "{html}");
        assert!(!summary(&[finding(Verdict::Supported)]).into_string().contains("refuted"));
    }

    #[test]
    fn a_two_sided_claim_holds_for_every_value_but_one() {
        let claim =
            |threshold_low, threshold_high| Findings { threshold_low, threshold_high, ..finding(Verdict::Supported) };
        let regions =
            [(Some(0.0), Some(0.0)), (Some(1.0), Some(2.0)), (Some(0.0), None), (None, Some(0.5)), (None, None)]
                .map(|(low, high)| region(&claim(low, high)));
        assert_eq!(regions, ["≠ 0", "1 to 2", "> 0", "< 0.5", "–"]);
    }
}
