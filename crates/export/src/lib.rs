//! Takes results to other programs: checkpoints to PyTorch and nanoGPT, tables to CSV, the study's numbers to `final_info.json`,
//! curves to TensorBoard, and a description of all tables to Croissant.

mod checkpoint;
mod croissant;
mod csv;
mod event_file;
mod files;
mod final_info;
mod tensorboard;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use declarations::{Fault, file_name};
use schemas::{Artifacts, Partition, Provenance};
use serde_json::Value;

/// Take results to other programs
#[derive(Debug, Parser)]
#[command(name = "export", version)]
pub struct Arguments {
    /// What is taken
    #[command(subcommand)]
    pub what: What,

    /// Folder that holds all tables of the study
    #[arg(long, value_name = "FOLDER", default_value = "artifacts/laptop", global = true)]
    pub artifacts: PathBuf,
}

/// What can be exported.
#[derive(Debug, Subcommand)]
pub enum What {
    /// A checkpoint with nanoGPT's names: model.safetensors with config.json and vocabulary.json, and ckpt.pt with meta.pkl
    Checkpoint {
        /// Dataset, such as shakespeare_char
        #[arg(long, value_name = "NAME", value_parser = file_name)]
        dataset: String,
        /// Run of the study, such as run_0
        #[arg(long, value_name = "NAME", value_parser = file_name)]
        run: String,
        /// Seed of the training
        #[arg(long, value_name = "NUMBER")]
        seed: u64,
        /// Step of the checkpoint
        #[arg(long, value_name = "NUMBER")]
        step: u32,
        /// Folder for the files
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
    },
    /// All rows of a table as CSV, its keys first; lists are written as JSON
    Csv {
        /// The table, such as head_metrics
        table: String,
        /// File to write [default: standard output]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// The results of each run as RUN/final_info.json, in the shape of The AI Scientist's templates
    FinalInfo {
        /// Folder for the runs' folders
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
    },
    /// Losses and attention metrics over steps as TensorBoard's event files, a folder per dataset, run and seed
    Tensorboard {
        /// Folder for the datasets' folders
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
    },
    /// A description of all tables and columns in Croissant (JSON-LD)
    Croissant {
        /// File to write [default: standard output]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

/// Exports what the command line asks for.
///
/// # Errors
/// A parameter fault for a table that there is not; an input fault for one that is missing or corrupt, or a file that cannot be
/// written.
pub fn run(arguments: &Arguments) -> Result<(), Fault> {
    let artifacts = Artifacts::new(&arguments.artifacts);
    match &arguments.what {
        What::Checkpoint { dataset, run, seed, step, to } => {
            checkpoint::export(&artifacts, &Partition::dataset(dataset).run(run).seed(*seed).step(*step), to)
        }
        What::Csv { table, to } => csv::export(&artifacts, table, to.as_deref()),
        What::FinalInfo { to } => final_info::export(&artifacts, to),
        What::Tensorboard { to } => tensorboard::export(&artifacts, to),
        What::Croissant { to } => croissant::export(&artifacts, to.as_deref()),
    }
}

/// The steps between the evaluations of a training, from their footer; of an import every evaluation counts.
fn eval_interval(evaluations: &Provenance) -> u32 {
    let interval = evaluations.config.get("eval_interval").and_then(Value::as_u64);
    interval.and_then(|interval| u32::try_from(interval).ok()).unwrap_or(1)
}

/// Makes the folder that a file is written in.
fn make_folder_of(path: &Path) -> Result<(), Fault> {
    let Some(folder) = path.parent() else { return Ok(()) };
    fs::create_dir_all(folder).map_err(|error| Fault::input(format!("cannot make {}: {error}", folder.display())))
}

/// Writes a file so that it is complete or absent, and says so.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    make_folder_of(path)?;
    atomic_file::write(path, bytes)
        .map_err(|error| Fault::input(format!("cannot write {}: {error}", path.display())))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
