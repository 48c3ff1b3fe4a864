//! The driver end to end, with shell scripts for stages.

mod cluster;
mod commands;
mod failures;
mod interruptions;
mod own_stages;
mod scene;
mod staleness;
