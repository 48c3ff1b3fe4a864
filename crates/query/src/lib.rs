//! Questions to the study's tables, answered by Polars: an example of how the artifacts are read by anyone's own program.
//!
//! A table is a folder of hive-partitioned Parquet files, so [`scan`] is all that it takes to have it as one lazy frame,
//! its keys (`dataset`, `run`, `seed`) among the columns. The [`questions`] are then ordinary queries.

pub mod questions;
mod text;

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use declarations::Fault;
use polars::prelude::{LazyFrame, PlRefPath, PolarsError, PolarsResult, ScanArgsParquet};

/// Answers a question about the study, with the study's tables and Polars
#[derive(Clone, Debug, Parser)]
#[command(
    version,
    after_help = "Example: what each layer's attention does over training
  query entropy-by-layer --artifacts artifacts/laptop --dataset shakespeare_char"
)]
pub struct Arguments {
    /// What is asked
    #[arg(value_enum)]
    pub question: Question,

    /// Folder that holds all tables of the study
    #[arg(long, value_name = "FOLDER", default_value = "artifacts/laptop", help_heading = "Where")]
    pub artifacts: PathBuf,

    /// Text that was learned, such as shakespeare_char
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
    /// Mean quality of generated and of real text over training, and the validation loss there
    Quality,
}

/// Asks and prints the answer.
///
/// # Errors
/// A fault that names the table if it is missing or unreadable, or holds nothing of the dataset and run.
pub fn run(arguments: &Arguments) -> Result<(), Fault> {
    let (dataset, run) = (arguments.dataset.as_str(), arguments.run.as_str());
    let table = |name: &str| -> Result<LazyFrame, Fault> {
        let folder = arguments.artifacts.join(name);
        if !folder.is_dir() {
            let folder = folder.display();
            return Err(Fault::input(format!(
                "{folder} is missing: run the pipeline first, or name another --artifacts"
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
            "{artifacts} has no rows of the dataset `{dataset}` and the run `{run}` for this question: name others by \
             --dataset and --run (similarity needs a run with layer similarities, quality one that scores its samples)"
        )));
    }
    print!("{}", text::aligned(&answer).map_err(unreadable)?);
    Ok(())
}

/// A whole table as one lazy frame, its keys among the columns; what a filter on them excludes is not read.
pub fn scan(folder: &Path) -> PolarsResult<LazyFrame> {
    let mut arguments = ScanArgsParquet::default();
    // No key is a date, and Polars, built without dates as it is here, panics where it looks for one.
    arguments.hive_options.try_parse_dates = false;
    LazyFrame::scan_parquet(PlRefPath::try_from_path(folder)?, arguments)
}
