//! The declarations, one file per stage.

pub mod correlate;
pub mod evaluate;
pub mod generate;
pub mod import;
pub mod metrics;
pub mod plot;
pub mod prep;
pub mod snapshot;
pub mod train;
