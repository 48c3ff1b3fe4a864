//! The stages and parameters that produced the tables.

use declarations::StageName;
use maud::{Markup, html};
use serde_json::Value;

use super::scrolling_table;
use crate::inputs::Dataset;

/// One row per producer and set of parameters, with the runs that share them.
pub(super) fn table(dataset: &Dataset) -> Markup {
    let mut producers: Vec<(&str, &Value, Vec<&str>)> = Vec::new();
    for source in &dataset.sources {
        let (producer, config) = (source.provenance.producer.as_str(), &source.provenance.config);
        let run = source.run.as_deref().unwrap_or("whole study");
        match producers.iter_mut().find(|(known, with, _)| *known == producer && *with == config) {
            Some((.., runs)) if runs.contains(&run) => {}
            Some((.., runs)) => runs.push(run),
            None => producers.push((producer, config, vec![run])),
        }
    }
    // In the order in which the stages run; those that are unknown come last.
    let place = |producer: &str| StageName::ALL.iter().position(|stage| producer.starts_with(stage.word()));
    producers.sort_by_key(|(producer, ..)| place(producer).unwrap_or(usize::MAX));
    let cells = |(producer, config, runs): &(&str, &Value, Vec<&str>)| {
        html! {
            td {
                @match producer.split_once(' ') {
                    Some((stage, version)) => { b { (stage) } span.muted { "results " (version) } }
                    None => { b { (producer) } }
                }
            }
            td { (runs.join(", ")) }
            td.parameters {
                @for (name, value) in config.as_object().into_iter().flatten() {
                    span { (name) " " b { (text(value)) } } " "
                }
            }
        }
    };
    let rows: Vec<Markup> = producers.iter().map(cells).collect();
    let seeds: Vec<String> = dataset.study.seeds.iter().map(u64::to_string).collect();
    html! {
        (scrolling_table("provenance", "Stages, runs and parameters", &["stage", "runs", "parameters"], &rows))
        p.note {
            "Seeds " (seeds.join(", ")) "; snapshots at steps " (dataset.study.steps)
            @if !dataset.is_imported() { "; evaluation every " (dataset.study.eval_interval) " steps" }
            ". Parameters as recorded for the first seed."
        }
    }
}

/// A value; of a list of named things their names.
fn text(value: &Value) -> String {
    match value {
        Value::Array(items) if items.iter().any(|item| item.get("name").is_some()) => {
            items.iter().filter_map(|item| item.get("name")?.as_str()).collect::<Vec<_>>().join(", ")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
