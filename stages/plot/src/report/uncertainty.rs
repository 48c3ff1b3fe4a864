//! The two sources of error of the attention metrics: seeds and probe windows.

use cli::number;
use maud::{Markup, html};
use schemas::Table as _;
use schemas::tables::HeadMetrics;

use super::scrolling_table;
use crate::inputs::Dataset;
use crate::measures::axis_label;
use crate::series::mean_stderr;

/// Every metric at the last step: mean over heads, standard deviation over seeds, standard error over windows; none without
/// attention tables.
pub(super) fn table(dataset: &Dataset) -> Option<Markup> {
    let attention = dataset.attention.as_ref()?;
    let last = attention.head_metrics.iter().flatten().map(|row| row.step).max()?;
    let rows: Vec<Markup> = HeadMetrics::MEASURES
        .iter()
        .filter_map(|measure| {
            let over_heads = |get: fn(&HeadMetrics) -> Option<f64>| -> Vec<f64> {
                let seeds = attention.head_metrics.iter();
                let last = |rows: &Vec<HeadMetrics>| {
                    rows.iter().filter(|row| row.step == last).filter_map(get).collect::<Vec<_>>()
                };
                seeds.filter_map(|rows| Some(mean_stderr(&last(rows))?.0)).collect()
            };
            let seeds = over_heads(measure.get);
            let (mean, over_seeds) = mean_stderr(&seeds)?;
            let deviation = over_seeds.map(|stderr| stderr * (seeds.len() as f64).sqrt());
            let windows = measure.stderr.and_then(|stderr| Some(mean_stderr(&over_heads(stderr.get))?.0));
            let places = number::meaningful(mean, [deviation, windows].into_iter().flatten().reduce(f64::max));
            let error = |value: Option<f64>| {
                value.map_or_else(|| number::MISSING.to_owned(), |value| number::significant(value, 2))
            };
            Some(html! {
                td { (axis_label(&measure.quantity, dataset.alphabet.unit())) }
                td.number { (number::decimals(mean, places)) }
                td.number { (error(deviation)) }
                td.number { (error(windows)) }
            })
        })
        .collect();
    let headings =
        ["attention metric", "mean over heads", "standard deviation over seeds", "standard error over windows"];
    Some(html! {
        (scrolling_table("uncertainty", "Attention metrics at the last step, and their two sources of error", &headings, &rows))
        p.note {
            "Step " (number::integer(last)) ", " (attention.run) ". Standard error over windows: of a single head, mean over heads \
             and seeds."
        }
    })
}
