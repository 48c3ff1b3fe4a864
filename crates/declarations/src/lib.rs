//! What a stage is: its parameters, the tables it reads and writes, what one job covers, what it costs, and how it fails.
//! One declaration ([`stage!`]) per stage, in [`stages`]. From it follow
//!
//! - the stage's command line ([`command`]) and the values behind it ([`Job`]);
//! - its section in `pipeline.yaml` and the changes that profiles, datasets, runs and `--set` make to it;
//! - the driver's job: its inputs, outputs, folders and cost;
//! - [`Inputs`] and [`Outputs`], through which a stage opens its tables: one that it does not declare is a compile error.
//!
//! It is light: neither Burn nor Polars is below it.

// So that `stage!` names this crate alike here and elsewhere.
extern crate self as declarations;

mod choice;
pub mod command;
mod cost;
mod fault;
mod handles;
mod names;
mod pipeline;
mod stage;
pub mod stages;
mod steps;
mod study;
mod tables;
mod value;

pub use choice::{ContextPolicy, Device, Encoding, FigureName, FigureWidth, Precision, Schedule, Theme};
pub use command::{Argument, Execution, flag, parsed};
pub use cost::{Cost, training_memory};
pub use fault::{Fault, Invalid, Kind, Signal};
pub use handles::{Inputs, Outputs};
pub use names::{LARGEST_SEED, check_seed, file_name};
pub use pipeline::{
    StageName, StudyChanges, StudySections, StudyStage, StudyVisitor, TrainingChanges, TrainingPlan, TrainingSections,
    TrainingStage, TrainingVisitor,
};
pub use stage::{Facts, Flag, Job, Per, Pictures, Stage, TextFacts};
pub use stages::*;
pub use steps::Steps;
pub use study::{Part, Study, StudyDataset, StudyRun};
pub use tables::{Member, Membership, Reads, Usage, Writes};
pub use value::{Value, Words, check_range, given};

/// What the code of [`stage!`] needs, so that the crate that declares a stage need not.
#[doc(hidden)]
pub mod dependencies {
    pub use {clap, schemas, serde, serde_json};
}
