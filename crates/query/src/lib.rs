//! Example queries over the study's tables with Polars, as any program could run them.
//!
//! A table is a folder of Hive-partitioned Parquet files. [`scan`] opens it as one lazy frame with the keys (`dataset`, `run`,
//! `seed`) as columns. The [`questions`] are ordinary queries.

pub mod questions;
mod text;

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use declarations::Fault;
use polars::prelude::{LazyFrame, PlRefPath, PolarsError, PolarsResult, ScanArgsParquet};

/// Query the study's tables with Polars
#[derive(Clone, Debug, Parser)]
#[command(
    version,
    after_help = "Example: mean attention entropy of each layer over training
  query entropy-by-layer --artifacts artifacts/laptop --dataset shakespeare_char"
)]
pub struct Arguments {
    /// The query
    #[arg(value_enum)]
    pub question: Question,

    /// Folder that holds all tables of the study
    #[arg(long, value_name = "FOLDER", default_value = "artifacts/laptop", help_heading = "Where")]
    pub artifacts: PathBuf,

    /// Dataset, such as shakespeare_char
    #[arg(long, value_name = "NAME", default_value = "shakespeare_char", help_heading = "Where")]
    pub dataset: String,

    /// Run of the study; run_3 has every table
    #[arg(long, value_name = "NAME", default_value = "run_3", help_heading = "Where")]
    pub run: String,
}

/// The questions.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Question {
    /// Mean attention entropy of each layer over training
    EntropyByLayer,
    /// Mean Jensen-Shannon similarity of each pair of layers over training
    Similarity,
    /// Mean quality of generated and of real text over training, and the validation loss
    Quality,
}

/// Runs the query and prints the answer.
///
/// # Errors
/// A table is missing or unreadable, or has no rows of the dataset and run.
pub fn run(arguments: &Arguments) -> Result<(), Fault> {
    let (dataset, run) = (arguments.dataset.as_str(), arguments.run.as_str());
    let table = |name: &str| -> Result<LazyFrame, Fault> {
        let folder = arguments.artifacts.join(name);
        if !folder.is_dir() {
            let folder = folder.display();
            return Err(Fault::input(format!(
                "{folder} is missing: run the pipeline first, or pass another --artifacts"
            )));
        }
        Ok(questions::of(scan(&folder).map_err(|error| Fault::input(error.to_string()))?, dataset, run))
    };
    let answer = match arguments.question {
        Question::EntropyByLayer => questions::entropy_by_layer(table("head_metrics")?),
        Question::Similarity => questions::similarity(table("layer_similarity")?),
        Question::Quality => questions::quality(table("sample_scores")?, table("evaluations")?),
    };
    let unreadable = |error: PolarsError| Fault::input(error.to_string());
    let answer = answer.collect().map_err(unreadable)?;
    if answer.height() == 0 {
        let artifacts = arguments.artifacts.display();
        return Err(Fault::parameter(format!(
            "{artifacts} has no rows of the dataset `{dataset}` and the run `{run}` for this query: pass other ones as \
             --dataset and --run (similarity needs a run with layer similarity, quality one with scored samples)"
        )));
    }
    print!("{}", text::aligned(&answer).map_err(unreadable)?);
    Ok(())
}

/// A whole table as one lazy frame with its keys as columns. Files that a filter on the keys excludes are not read.
///
/// # Errors
/// The folder cannot be scanned.
pub fn scan(folder: &Path) -> PolarsResult<LazyFrame> {
    let mut arguments = ScanArgsParquet::default();
    // No key is a date, and Polars, built without dates, panics when it tries to parse one.
    arguments.hive_options.try_parse_dates = false;
    LazyFrame::scan_parquet(PlRefPath::try_from_path(folder)?, arguments)
}
