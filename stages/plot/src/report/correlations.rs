//! The correlations with the lowest adjusted p-values.

use cli::number;
use maud::{Markup, html};
use schemas::enums::Scope;
use schemas::tables::Correlations;

use super::scrolling_table;
use crate::measures::label;

/// At most this many rows are shown.
const SHOWN: usize = 16;

/// The table; none without correlations.
pub(super) fn table(rows: &[Correlations]) -> Option<Markup> {
    let mut order: Vec<&Correlations> = rows.iter().collect();
    let key = |row: &Correlations| (row.q_value.unwrap_or(f64::INFINITY), -row.spearman.unwrap_or(0.0).abs());
    order.sort_by(|one, other| {
        let (one, other) = (key(one), key(other));
        one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1))
    });
    order.truncate(SHOWN);
    let markup: Vec<Markup> = order.iter().map(|row| cells(row)).collect();
    let tested = rows.iter().filter(|row| row.p_value.is_some()).count();
    let headings = ["scope", "attention metric", "correlates with", "n", "Spearman (raw)", "partial", "p", "q"];
    (!rows.is_empty()).then(|| {
        html! {
            (scrolling_table("correlations", "Correlations with the lowest q", &headings, &markup))
            p.note {
                "The " (number::integer(order.len())) " pairs with the lowest q of " (number::integer(tested))
                " tested; q: Benjamini–Hochberg over all tests of the run. Over training, raw Spearman correlations are confounded \
                 by training step: any two drifting quantities correlate. The partial correlation subtracts, at each step, the \
                 mean over seeds. For generated samples, p is from permutations within seed and the interval is over seeds: with \
                 few seeds it may contain 0 where p is low."
            }
        }
    })
}

fn cells(row: &Correlations) -> Markup {
    let fixed =
        |value: Option<f64>| value.map_or_else(|| number::MISSING.to_owned(), |value| number::decimals(value, 2));
    html! {
        td { (row.scope.as_str()) }
        td {
            (label(&row.x))
            span.muted { @match row.layer { Some(layer) => { "layer " (layer) }, None => { "all layers" } } }
        }
        td { (label(&row.y)) }
        td.number { (number::integer(row.n)) }
        td.number {
            (fixed(row.spearman))
            @if row.spearman_low.is_some() && row.spearman_high.is_some() {
                " [" (fixed(row.spearman_low)) ", " (fixed(row.spearman_high)) "]"
            }
            @if row.scope == Scope::Training { span.muted { "confounded by step" } }
        }
        td.number { (fixed(row.partial_spearman)) }
        td.number { (number::p_value(row.p_value)) }
        td.number { (number::p_value(row.q_value)) }
    }
}
