//! The report's tables: results, findings, correlations.

use schemas::tables::{Correlations, Findings, Results};

use crate::figures::findings::{value, verdict_words};
use crate::html::{element, escape, table, words};
use crate::number;

/// How many correlations are shown.
const SHOWN: usize = 16;

fn cell(text: &str) -> String {
    words("td", "", text)
}

fn figure_cell(text: &str) -> String {
    words("td", "number", text)
}

/// The results, a row for each dataset and run.
pub(super) fn results(rows: &[Results]) -> String {
    type Measure = (&'static str, fn(&Results) -> (f64, Option<f64>));
    const MEASURES: [Measure; 4] = [
        ("final train loss", |row| (row.final_train_loss_mean, row.final_train_loss_stderr)),
        ("best validation loss", |row| (row.best_val_loss_mean, row.best_val_loss_stderr)),
        ("training time (s)", |row| (row.total_train_time_secs_mean, row.total_train_time_secs_stderr)),
        ("generation (characters/s)", |row| (row.inference_tokens_per_sec_mean, row.inference_tokens_per_sec_stderr)),
    ];
    let shown: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let copied =
                if row.training_of == row.run { String::new() } else { format!(" ({}’s training)", row.training_of) };
            let run = words("b", "", &row.run) + &words("span", "muted", &(row.label.clone() + &copied));
            let run = element("td", "", &run);
            let mut cells = vec![cell(&row.dataset), run, figure_cell(&row.seeds.to_string())];
            cells.extend(MEASURES.iter().map(|(_, measure)| {
                let (mean, stderr) = measure(row);
                // One number of decimals in a column: the largest error's.
                let column = rows.iter().filter(|other| other.dataset == row.dataset).map(measure);
                let error = column.filter_map(|other| other.1).reduce(f64::max);
                figure_cell(&number::mean_stderr(mean, stderr, number::meaningful(mean, error)))
            }));
            cells
        })
        .collect();
    let head: Vec<&str> =
        ["dataset", "run", "seeds"].into_iter().chain(MEASURES.iter().map(|(name, _)| *name)).collect();
    let twins = rows.iter().enumerate().any(|(number, row)| {
        let same = |other: &Results| {
            other.dataset == row.dataset && other.best_val_loss_mean.to_bits() == row.best_val_loss_mean.to_bits()
        };
        rows[number + 1..].iter().any(same)
    });
    let mut note = "Mean ± standard error over seeds; losses in nats per character.".to_owned();
    if twins {
        note.push_str(
            " Runs with the same seeds learn the same weights, so their losses are equal: what differs between them is what \
             they record, and what that costs in time. A training that is the same but for the run’s name is computed \
             once and copied, its time too.",
        );
    }
    table("results", &head, &shown) + &words("p", "note", &note)
}

/// The claims, each with its verdict.
pub(super) fn findings(rows: &[Findings]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let shown: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let verdict = verdict_words(&row.verdict);
            let known = ["supported", "refuted", "inconclusive"].contains(&row.verdict.as_str());
            let class = if known { format!("badge {verdict}") } else { "badge".to_owned() };
            vec![
                element("td", "claim", &(escape(&row.statement) + &words("code", "muted", &row.claim))),
                element("td", "", &words("span", &class, verdict)),
                figure_cell(&value(row)),
                figure_cell(&threshold(row)),
                element("td", "reason", &(escape(&row.statistic) + &words("span", "muted", &row.reason))),
            ]
        })
        .collect();
    let note = format!(
        "Value: mean over seeds, with its 95 % interval. A claim is supported if the whole interval lies where it \
         holds, refuted if the whole interval lies elsewhere, and inconclusive otherwise or with one seed. {} claims \
         are looked at, without a correction for that.",
        rows.len()
    );
    let head = ["claim", "verdict", "value [interval]", "holds", "statistic and reason"];
    table("findings", &head, &shown) + &words("p", "note", &note)
}

/// How many claims fared how, and which were decided.
pub(super) fn verdicts(rows: &[Findings]) -> String {
    let verdict = |verdict: &str| {
        let of: Vec<&Findings> = rows.iter().filter(|row| row.verdict == verdict).collect();
        let named = ["supported", "refuted"].contains(&verdict);
        let names: Vec<&str> = of.iter().filter(|_| named).map(|row| row.statement.as_str()).collect();
        let count = words("span", &format!("badge {verdict}"), &format!("{} {}", of.len(), verdict_words(verdict)));
        element("li", "", &(count + &escape(&names.join("; "))))
    };
    let list: String = ["supported", "refuted", "inconclusive", "not_tested"].into_iter().map(verdict).collect();
    if rows.is_empty() { String::new() } else { element("ul", "verdicts", &list) }
}

/// Where a claim holds.
fn threshold(row: &Findings) -> String {
    let number = number::plain;
    match (row.threshold_low, row.threshold_high) {
        // Two-sided: any value but this one.
        (Some(low), Some(high)) if low == high => format!("≠ {}", number(low)),
        (Some(low), Some(high)) => format!("{} to {}", number(low), number(high)),
        (Some(low), None) => format!("> {}", number(low)),
        (None, Some(high)) => format!("< {}", number(high)),
        (None, None) => "–".to_owned(),
    }
}

/// The correlations that chance explains least.
pub(super) fn correlations(rows: &[Correlations]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut order: Vec<&Correlations> = rows.iter().collect();
    let chance = |row: &Correlations| (row.q_value.unwrap_or(f64::INFINITY), -row.spearman.unwrap_or(0.0).abs());
    order.sort_by(|one, other| {
        let (one, other) = (chance(one), chance(other));
        one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1))
    });
    let number =
        |value: Option<f64>, digits| value.map_or_else(|| "–".to_owned(), |value| number::decimals(value, digits));
    let shown: Vec<Vec<String>> = order
        .iter()
        .take(SHOWN)
        .map(|row| {
            let layer = row.layer.map_or_else(|| "all layers".to_owned(), |layer| format!("layer {layer}"));
            let confounded =
                if row.scope == "training" { words("span", "muted", "confounded by step") } else { String::new() };
            let interval = match (row.spearman_low, row.spearman_high) {
                (Some(_), Some(_)) => format!(" [{}, {}]", number(row.spearman_low, 2), number(row.spearman_high, 2)),
                _ => String::new(),
            };
            let raw = escape(&format!("{}{interval}", number(row.spearman, 2))) + &confounded;
            let chance =
                |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| number::significant(value, 2));
            vec![
                cell(&row.scope),
                element("td", "", &(escape(&row.x) + &words("span", "muted", &layer))),
                cell(&row.y),
                figure_cell(&row.n.to_string()),
                element("td", "number", &raw),
                figure_cell(&number(row.partial_spearman, 2)),
                figure_cell(&chance(row.p_value)),
                figure_cell(&chance(row.q_value)),
            ]
        })
        .collect();
    let count = shown.len();
    let tested = rows.iter().filter(|row| row.p_value.is_some()).count();
    let note = format!(
        "The {count} pairs with the lowest q-value of {tested} that were tested, each run's being one family \
         (Benjamini–Hochberg). Raw Spearman correlations over a \
         training are confounded by step: whatever drifts as the model learns goes with whatever else drifts. The partial \
         correlation takes out, at each step, what all seeds share. Of generated texts p comes from exchanging texts within \
         each seed, and the interval is over seeds: with few of these it can hold 0 where p is low."
    );
    let head = ["scope", "attention", "goes with", "n", "Spearman (raw)", "partial", "p", "q"];
    table("correlations", &head, &shown) + &words("p", "note", &note)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(run: &str, val: f64, speed: f64) -> Results {
        Results {
            dataset: "tiny".into(),
            run: run.into(),
            label: "<label>".into(),
            training_of: run.into(),
            seeds: 2,
            final_train_loss_mean: 1.5,
            final_train_loss_stderr: Some(0.01),
            best_val_loss_mean: val,
            best_val_loss_stderr: None,
            total_train_time_secs_mean: 60.0,
            total_train_time_secs_stderr: Some(1.0),
            inference_tokens_per_sec_mean: speed,
            inference_tokens_per_sec_stderr: Some(10.0),
        }
    }

    #[test]
    fn results_have_their_errors_and_twins_are_explained() {
        let html = results(&[result("run_0", 1.9, 100.0), result("run_1", 1.8, 900.0)]);
        assert!(
            html.contains("<td class=\"number\">1.800</td>") && html.contains("<td class=\"number\">900 ± 10</td>")
        );
        assert!(html.contains("&lt;label&gt;") && !html.contains("learn the same weights"));
        assert!(results(&[result("run_0", 1.9, 1.0), result("run_1", 1.9, 1.0)]).contains("learn the same weights"));
    }

    #[test]
    fn a_claim_without_a_side_holds_wherever_its_threshold_is_not() {
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
            verdict: "supported".into(),
            reason: "r".into(),
            n: 3,
        };
        let said = [(Some(0.0), Some(0.0)), (Some(1.0), Some(2.0)), (Some(0.0), None), (None, Some(0.5)), (None, None)]
            .map(|(low, high)| threshold(&claim(low, high)));
        assert_eq!(said, ["≠ 0", "1 to 2", "> 0", "< 0.5", "–"]);
    }
}
