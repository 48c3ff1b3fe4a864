//! What a file says of itself.

use std::collections::BTreeMap;

use parquet::file::metadata::KeyValue;
use serde::{Deserialize, Serialize};

use crate::{Partition, Table, checksum};

pub(crate) const NAME: &str = "schema.name";
pub(crate) const VERSION: &str = "schema.version";
pub(crate) const PARTITION: &str = "partition";
pub(crate) const PRODUCER: &str = "producer";
const CONFIG: &str = "config";
pub(crate) const INPUTS: &str = "inputs";
const COLUMNS: &str = "columns";
pub(crate) const SHARED_BY: &str = "shared_by";

/// A file that another was made from.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Source {
    /// Its path relative to the root of the artifacts; for what came from outside, its name.
    pub path: String,
    /// The BLAKE3 hash of its bytes, in hexadecimal.
    pub blake3: String,
}

/// Who made a file, with which parameters, from what.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Provenance {
    /// The stage and the version of its results: `train 1`.
    pub producer: String,
    /// The parameters that decide the content: no paths, threads, device or verbosity.
    pub config: serde_json::Value,
    /// The files that this one was made from.
    pub inputs: Vec<Source>,
    /// The other runs with the same parameters and inputs, for which the file stands too, under links.
    pub shared_by: Vec<String>,
    /// Facts of one table alone, such as the size of a family of tests.
    pub extra: BTreeMap<String, String>,
}

impl Provenance {
    /// Made by a stage whose results have this version, with these parameters, from nothing yet.
    pub fn new(stage: &str, version: u32, config: serde_json::Value) -> Self {
        let producer = format!("{stage} {version}");
        Self { producer, config, inputs: Vec::new(), shared_by: Vec::new(), extra: BTreeMap::new() }
    }

    /// The same, made from these files.
    #[must_use]
    pub fn from_inputs<'sources>(&self, sources: impl IntoIterator<Item = &'sources Source>) -> Self {
        let mut inputs: Vec<_> = sources.into_iter().cloned().collect();
        inputs.sort();
        inputs.dedup();
        Self { inputs, ..self.clone() }
    }

    /// The same, also for other runs with the same parameters and inputs.
    #[must_use]
    pub fn shared_by(self, runs: &[String]) -> Self {
        Self { shared_by: runs.to_vec(), ..self }
    }

    /// The same with one more fact in the footer.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.extra.insert(key.to_owned(), value.to_string());
        self
    }

    /// The footer's key-value metadata of a table's file.
    pub(crate) fn footer<T: Table>(&self, partition: &Partition) -> Vec<KeyValue> {
        let columns: serde_json::Map<_, _> = T::columns()
            .into_iter()
            .map(|column| {
                (column.name.to_owned(), serde_json::json!({"description": column.description, "unit": column.unit}))
            })
            .collect();
        let mut footer = vec![
            (NAME.to_owned(), T::NAME.to_owned()),
            (VERSION.to_owned(), T::VERSION.to_string()),
            (PRODUCER.to_owned(), self.producer.clone()),
            (CONFIG.to_owned(), json(&self.config)),
            (PARTITION.to_owned(), json(&partition.only(T::KEYS))),
            (INPUTS.to_owned(), json(&self.inputs)),
            (COLUMNS.to_owned(), json(&columns)),
        ];
        if !self.shared_by.is_empty() {
            footer.push((SHARED_BY.to_owned(), json(&self.shared_by)));
        }
        footer.extend(self.extra.clone());
        // Its digits are known when all else is written.
        footer.push((checksum::KEY.to_owned(), checksum::BLANK.to_owned()));
        footer.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect()
    }

    /// What a footer says.
    pub(crate) fn parse(footer: &BTreeMap<String, String>) -> Self {
        let known =
            [NAME, VERSION, PARTITION, PRODUCER, CONFIG, INPUTS, COLUMNS, SHARED_BY, checksum::KEY, "ARROW:schema"];
        let text = |key| footer.get(key).map_or("null", String::as_str);
        Self {
            producer: footer.get(PRODUCER).cloned().unwrap_or_default(),
            config: serde_json::from_str(text(CONFIG)).unwrap_or_default(),
            inputs: serde_json::from_str(text(INPUTS)).unwrap_or_default(),
            shared_by: serde_json::from_str(text(SHARED_BY)).unwrap_or_default(),
            extra: footer
                .iter()
                .filter(|(key, _)| !known.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        }
    }
}

/// JSON of plain data, which always serialises.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data serialises")
}
