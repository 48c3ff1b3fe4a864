//! Stages of the user's own: any command in any language, declared in the section `own_stages` of `pipeline.yaml`.
//!
//! The command gets flags like every stage, finds its input files in a list (`staging`), and writes into a folder that is empty.
//! After it has exited with 0, the driver gives its files their names: they are complete or absent, whatever wrote them.

mod config;
mod declared;
mod edited;
mod jobs;
mod staging;

pub(crate) use config::{Changes, check_changes};
pub use config::{OwnChanges, OwnConfig, Parameters, Scalar};
pub use declared::OwnStage;
pub(crate) use declared::{declared, place_files};
pub(crate) use jobs::{jobs, without};
pub(crate) use staging::{prepare, publish, stage_in};
