//! The losses over whole splits: what models are compared by.

use cli::number;
use maud::{Markup, html};
use schemas::tables::SplitLosses;

use super::scrolling_table;
use crate::inputs::{Dataset, Inputs, RunLosses};
use crate::series::mean_stderr;

/// The table; none where no run evaluates whole splits.
pub(super) fn table(inputs: &Inputs) -> Option<Markup> {
    let rows: Vec<Markup> = inputs.datasets.iter().flat_map(rows).collect();
    let unit = match inputs.units()[..] {
        [first, ref others @ ..] if others.iter().all(|other| *other == first) => first.to_string(),
        _ => "symbol".to_owned(),
    };
    let (nats, bits) = (format!("nats per {unit}"), format!("bits per {unit}"));
    let (guess, predicted) = ("bits of an even guess", format!("{unit}s predicted"));
    let headings = ["dataset", "runs", "split", &nats, &bits, "bits per byte", guess, &predicted];
    (!rows.is_empty()).then(|| {
        html! {
            (scrolling_table("splits", "Losses over whole splits, of the last checkpoint", &headings, &rows))
            p.note {
                "How well the model predicts text that it has not learned from, every " (unit) " of it once: less is better. Nats \
                 and bits are the same number in other units; papers on text8 and enwik8 give bits. An even guess, which gives each \
                 " (unit) " of the alphabet the same probability, costs the bits beside it. Mean ± standard error over seeds."
            }
        }
    })
}

/// The rows of one dataset: runs that share a training are one.
fn rows(dataset: &Dataset) -> Vec<Markup> {
    let mut groups: Vec<(&Vec<Vec<SplitLosses>>, Vec<&str>)> = Vec::new();
    let equal = |one: &Vec<Vec<SplitLosses>>, other: &Vec<Vec<SplitLosses>>| {
        let bits =
            |of: &Vec<Vec<SplitLosses>>| of.iter().flatten().map(|row| row.loss_nats.to_bits()).collect::<Vec<_>>();
        bits(one) == bits(other)
    };
    for RunLosses { run, splits, .. } in dataset.losses.iter().filter(|run| !run.splits.is_empty()) {
        match groups.iter_mut().find(|(known, _)| equal(known, splits)) {
            Some((_, runs)) => runs.push(&run.name),
            None => groups.push((splits, vec![&run.name])),
        }
    }
    let of_group = |(seeds, runs): &(&Vec<Vec<SplitLosses>>, Vec<&str>)| {
        let first = seeds.first().cloned().unwrap_or_default();
        let row = |split: &SplitLosses| {
            let of = |value: fn(&SplitLosses) -> f64| {
                let same = seeds.iter().filter_map(|rows| rows.iter().find(|row| row.split == split.split));
                let (mean, stderr) = mean_stderr(&same.map(value).collect::<Vec<_>>())?;
                Some(number::mean_stderr(mean, stderr, number::meaningful(mean, stderr).min(4)))
            };
            let cell = |value: fn(&SplitLosses) -> f64| of(value).unwrap_or_else(|| number::MISSING.to_owned());
            html! {
                td { (dataset.study.name) }
                td { b { (runs.join(", ")) } }
                td { (split.split.as_str()) }
                td.number { (cell(|row| row.loss_nats)) }
                td.number { (cell(|row| row.bits_per_symbol)) }
                td.number { (cell(|row| row.bits_per_byte)) }
                td.number { (number::decimals((dataset.alphabet.len() as f64).log2(), 2)) }
                td.number { (number::integer(split.tokens)) }
            }
        };
        first.iter().map(row).collect::<Vec<_>>()
    };
    groups.iter().flat_map(of_group).collect()
}
