//! Which files of a table there are.

use std::fs;
use std::path::Path;

use declarations::Fault;
use schemas::enums::Split;
use schemas::{Artifacts, Partition, Table};

/// The partitions of a table's files, sorted.
///
/// # Errors
/// An input fault if there is none.
pub(crate) fn partitions<T: Table>(artifacts: &Artifacts) -> Result<Vec<Partition>, Fault> {
    let folder = artifacts.root().join(T::NAME);
    let mut found = Vec::new();
    collect(&folder, &Partition::study(), &format!("{}.parquet", T::NAME), &mut found);
    found.sort();
    match found.is_empty() {
        false => Ok(found),
        true => Err(Fault::input(format!(
            "{} has no files of the table `{}`, which `{}` writes: give the study's folder by --artifacts",
            artifacts.root().display(),
            T::NAME,
            T::PRODUCER
        ))),
    }
}

fn collect(folder: &Path, partition: &Partition, file: &str, found: &mut Vec<Partition>) {
    if folder.join(file).is_file() {
        found.push(partition.clone());
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let key =
            name.to_str().and_then(|name| name.split_once('=')).and_then(|(key, value)| with(partition, key, value));
        if let Some(partition) = key {
            collect(&entry.path(), &partition, file, found);
        }
    }
}

/// A partition with one more key; none if a folder is not of the tables.
fn with(partition: &Partition, key: &str, value: &str) -> Option<Partition> {
    let partition = partition.clone();
    Some(match key {
        "dataset" => Partition::dataset(value),
        "run" => partition.run(value),
        "seed" => partition.seed(value.parse().ok()?),
        "step" => partition.step(value.parse().ok()?),
        "split" => {
            partition.split([Split::Train, Split::Val, Split::Test].into_iter().find(|split| split.as_str() == value)?)
        }
        "stage" => partition.stage(value),
        _ => return None,
    })
}
