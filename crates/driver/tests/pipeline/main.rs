//! The driver end to end, with shell scripts for stages.

mod cluster;
mod commands;
mod failures;
mod interruptions;
mod scene;
mod staleness;
