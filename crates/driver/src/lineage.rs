//! The table `lineage`: every execution of a job.

use declarations::Fault;
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
    /// Reads the table, if there is one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(artifacts: Artifacts) -> Result<Self, Fault> {
        let rows = match artifacts.read::<Lineage>(&Partition::study()) {
            Ok(loaded) => loaded.rows,
            Err(Error::Missing { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self { artifacts, rows })
    }

    /// Whether no job ever ran.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The fingerprint of a job's last execution, if it succeeded.
    pub fn done(&self, job: &str) -> Option<&str> {
        let last = self.rows.iter().rev().find(|row| row.node == job)?;
        (last.status == Status::Done).then_some(last.fingerprint.as_str())
    }

    /// The seconds of a job's last execution, if it succeeded and had this command.
    pub fn took(&self, job: &str, command: &str) -> Option<f64> {
        let last = self.rows.iter().rev().find(|row| row.node == job)?;
        (last.status == Status::Done && last.command == command).then_some(last.wall_secs)
    }

    /// Adds an execution and writes the table.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, row: Lineage) -> Result<(), Fault> {
        self.rows.push(row);
        let provenance = Provenance::new("driver", 1, serde_json::json!({}));
        Ok(self.artifacts.write(&Partition::study(), &provenance, &self.rows)?)
    }
}
