//! What was run, in a few numbers.

use cli::number;
use maud::{Markup, html};
use schemas::tables::Results;
use serde_json::Value;

use crate::inputs::Dataset;

pub(super) fn list(dataset: &Dataset, results: &[Results]) -> Markup {
    let has_shape = |producer: &str| producer.starts_with("train ") || producer.starts_with("import ");
    let config = dataset.sources.iter().find(|source| has_shape(&source.provenance.producer));
    let parameter = |name: &str| config.and_then(|source| source.provenance.config.get(name)).and_then(Value::as_u64);
    let of_dataset = results.iter().filter(|row| row.dataset == dataset.study.name);
    let best = of_dataset.min_by(|one, other| one.best_val_loss_mean.total_cmp(&other.best_val_loss_mean));
    let unit = dataset.alphabet.unit();
    let mut facts: Vec<(String, String)> = Vec::new();
    if let (Some(layers), Some(heads)) = (parameter("n_layer"), parameter("n_head")) {
        facts.push((format!("{layers} × {heads}"), "layers × heads".into()));
    }
    if let Some(embedding) = parameter("n_embd") {
        facts.push((number::integer(embedding), "embedding dimensions".into()));
    }
    if let Some(block) = parameter("block_size") {
        facts.push((number::integer(block), format!("{unit}s of context")));
    }
    if let Some(last) = dataset.study.steps.last() {
        facts.push((number::integer(last), "training steps".into()));
    }
    if dataset.attention.is_some() {
        facts.push((number::integer(dataset.study.steps.count()), "snapshots".into()));
    }
    facts.push((
        number::integer(dataset.study.seeds.len()),
        if dataset.study.seeds.len() == 1 { "seed" } else { "seeds" }.into(),
    ));
    if let Some(best) = best {
        let places = number::meaningful(best.best_val_loss_mean, best.best_val_loss_stderr);
        facts.push((
            number::mean_stderr(best.best_val_loss_mean, best.best_val_loss_stderr, places),
            format!("best validation loss (nats per {unit})"),
        ));
    }
    html! { dl.facts { @for (value, name) in &facts { div { dt { (name) } dd { (value) } } } } }
}
