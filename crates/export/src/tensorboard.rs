//! Losses and attention metrics over steps for TensorBoard.

use std::collections::BTreeMap;
use std::path::Path;

use declarations::Fault;
use schemas::tables::{Evaluations, HeadMetrics, LayerMetrics, LayerSimilarity, Tracking, TrainingLog};
use schemas::{Artifacts, Key, Partition, Table};
use serde::Serialize;
use serde_json::Value as Json;

use crate::event_file::{Scalars, event_file};
use crate::files::partitions;

/// The scalars of a training, by step.
type Steps = BTreeMap<u32, Vec<(String, f64)>>;

pub(crate) fn export(artifacts: &Artifacts, to: &Path) -> Result<(), Fault> {
    for training in partitions::<Evaluations>(artifacts)? {
        let mut steps = Steps::new();
        add::<TrainingLog>(artifacts, &training, &mut steps)?;
        add::<Evaluations>(artifacts, &training, &mut steps)?;
        add::<Tracking>(artifacts, &training, &mut steps)?;
        add::<HeadMetrics>(artifacts, &training, &mut steps)?;
        add::<LayerMetrics>(artifacts, &training, &mut steps)?;
        add::<LayerSimilarity>(artifacts, &training, &mut steps)?;
        let scalars: Vec<Scalars> = steps.into_iter().map(|(step, values)| Scalars { step, values }).collect();
        let keys = [Key::Dataset, Key::Run, Key::Seed].map(|key| training.value(key).unwrap_or_default());
        let folder = keys.iter().fold(to.to_owned(), |folder, key| folder.join(key));
        crate::write(&folder.join("events.out.tfevents.0.export"), &event_file(&scalars))?;
    }
    Ok(())
}

/// Adds every number of a table of a training, where it has that table, tagged `TABLE/COLUMN/layer_0/head_0`.
fn add<T: Table + Serialize>(artifacts: &Artifacts, training: &Partition, steps: &mut Steps) -> Result<(), Fault> {
    if !artifacts.has::<T>(training) {
        return Ok(());
    }
    for row in artifacts.read::<T>(training)?.rows {
        let row = serde_json::to_value(row).map_err(|error| Fault::bug(error.to_string()))?;
        let Json::Object(cells) = row else { continue };
        let number = |name: &str| cells.get(name).and_then(Json::as_u64);
        let Some(step) = number("step").and_then(|step| u32::try_from(step).ok()) else { continue };
        let places = ["layer", "head", "layer_a", "layer_b"];
        let place: String = places.iter().filter_map(|key| Some(format!("/{key}_{}", number(key)?))).collect();
        let columns =
            T::columns().into_iter().map(|column| column.name).filter(|name| *name != "step" && !places.contains(name));
        let scalars =
            columns.filter_map(|name| Some((format!("{}/{name}{place}", T::NAME), cells.get(name)?.as_f64()?)));
        steps.entry(step).or_default().extend(scalars);
    }
    Ok(())
}
