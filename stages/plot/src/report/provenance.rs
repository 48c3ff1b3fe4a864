//! The stages and parameters that produced the tables.

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
    let cells = |(producer, config, runs): &(&str, &Value, Vec<&str>)| {
        html! {
            td { (producer) }
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
        (scrolling_table("provenance", "Stages, runs and parameters", &["produced by", "runs", "parameters"], &rows))
        p.note {
            "Seeds " (seeds.join(", ")) "; snapshots at steps " (dataset.study.steps) "; evaluation every "
            (dataset.study.eval_interval) " steps. Parameters as recorded for the first seed."
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
