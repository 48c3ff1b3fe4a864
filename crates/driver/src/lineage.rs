//! The table of every execution, for people and for whoever asks where a number comes from.

use cli::Fault;
use schemas::enums::Status;
use schemas::tables::Lineage;
use schemas::{Artifacts, Error, Partition, Provenance};

/// The executions so far.
#[derive(Debug)]
pub struct History {
    artifacts: Artifacts,
    rows: Vec<Lineage>,
}

impl History {
    /// Reads what has been written.
    pub fn open(artifacts: Artifacts) -> Result<Self, Fault> {
        let rows = match artifacts.read::<Lineage>(&Partition::study()) {
            Ok(loaded) => loaded.rows,
            Err(Error::Missing { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self { artifacts, rows })
    }

    /// Whether nothing ever ran.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The fingerprint of a node's last execution, if it ended well.
    pub fn done(&self, node: &str) -> Option<&str> {
        let last = self.rows.iter().rev().find(|row| row.node == node)?;
        (last.status == Status::Done).then_some(last.fingerprint.as_str())
    }

    /// The seconds of a node's last execution, if it ended well and was started by this command.
    pub fn took(&self, node: &str, command: &str) -> Option<f64> {
        let last = self.rows.iter().rev().find(|row| row.node == node)?;
        (last.status == Status::Done && last.command == command).then_some(last.wall_secs)
    }

    /// Writes one more execution.
    pub fn add(&mut self, row: Lineage) -> Result<(), Fault> {
        self.rows.push(row);
        let provenance = Provenance::new("driver", serde_json::json!({}));
        Ok(self.artifacts.write(&Partition::study(), &provenance, &self.rows)?)
    }
}
