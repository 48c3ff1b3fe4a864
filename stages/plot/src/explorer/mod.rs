//! What the page lets its reader explore: the study's tables as one JSON document, and what is large as compressed chunks that
//! the page unpacks when they are first shown.
//!
//! It selects, averages over heads where it says so, and rounds to five significant digits ([`data`]). Attention maps are
//! quantised to 8 bits, and as many windows and seeds are taken along as the page has room for ([`maps`]).

pub mod chunk;
pub mod data;
pub mod generated;
pub mod maps;
pub mod trainings;

use declarations::plot::{Parameters, Plot};
use declarations::{Fault, Inputs as Tables};

use crate::inputs::Inputs;
use chunk::Chunk;
use trainings::DatasetTrainings;

/// The data behind the page's views.
#[derive(Clone, Debug)]
pub struct Explorer {
    /// What is shown first, and where the rest is.
    pub study: serde_json::Value,
    /// The rest.
    pub chunks: Vec<Chunk>,
}

impl Explorer {
    /// Reads every table that the views show, and packs them.
    ///
    /// # Errors
    /// If a table is missing, damaged or of another version.
    pub fn read(tables: &Tables<Plot>, parameters: &Parameters, inputs: &Inputs) -> Result<Self, Fault> {
        let datasets = parameters.study.datasets.iter();
        let datasets = datasets.map(|dataset| DatasetTrainings::read(tables, parameters, dataset));
        let datasets = datasets.collect::<Result<Vec<_>, _>>()?;
        let trainings = datasets.iter().map(|dataset| dataset.trainings.len()).sum::<usize>();
        let mut chunks = Vec::new();
        let mut packed = Vec::new();
        for (read, of) in datasets.iter().zip(&inputs.datasets) {
            let mut dataset = data::dataset(read, of, &mut chunks, maps::BUDGET / trainings.max(1))?;
            dataset["samples"]["generated"] = generated::generated(tables, parameters, of, &mut chunks)?.into();
            packed.push(dataset);
        }
        Ok(Self { study: data::study(inputs, packed), chunks })
    }
}
