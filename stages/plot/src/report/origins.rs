//! Who made the tables, and with which parameters.

use serde_json::Value;

use crate::html::{element, escape, table, words};
use crate::inputs::Dataset;

/// A row for each stage and set of parameters, with the runs that share them.
pub(super) fn origins(dataset: &Dataset) -> String {
    let mut kinds: Vec<(&str, &Value, Vec<&str>)> = Vec::new();
    for origin in &dataset.origins {
        let (producer, config) = (origin.provenance.producer.as_str(), &origin.provenance.config);
        let run = origin.run.as_deref().unwrap_or("whole study");
        match kinds.iter_mut().find(|(known, with, _)| *known == producer && *with == config) {
            Some((.., runs)) if runs.contains(&run) => {}
            Some((.., runs)) => runs.push(run),
            None => kinds.push((producer, config, vec![run])),
        }
    }
    let rows: Vec<Vec<String>> = kinds
        .into_iter()
        .map(|(producer, config, runs)| {
            let parameters = element("td", "parameters", &parameters(config));
            vec![words("td", "", producer), words("td", "", &runs.join(", ")), parameters]
        })
        .collect();
    let seeds: Vec<String> = dataset.study.seeds.iter().map(u64::to_string).collect();
    let note = format!(
        "Seeds {}; snapshots at steps {}; evaluated every {} steps. The parameters are those of the first seed.",
        seeds.join(", "),
        dataset.study.steps,
        dataset.study.eval_interval
    );
    table("origins", &["made by", "for", "parameters"], &rows) + &words("p", "note", &note)
}

fn parameters(config: &Value) -> String {
    let Value::Object(entries) = config else { return String::new() };
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let entry =
        |(name, value): (&String, &Value)| format!("<span>{} <b>{}</b></span> ", escape(name), escape(&shown(value)));
    entries.iter().map(entry).collect()
}
