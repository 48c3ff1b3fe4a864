//! The table `lineage`: every execution of a job.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use declarations::Fault;
use schemas::enums::Status;
use schemas::tables::Lineage;
use schemas::{Artifacts, Error, Partition, Provenance};

/// The executions so far.
#[derive(Debug)]
pub struct History {
    artifacts: Artifacts,
    rows: Vec<Lineage>,
    /// Why the table could not be read.
    damage: Option<Error>,
}

impl History {
    /// Reads the table, if there is one. One that cannot be read is no fault: nothing depends on it but times and records of
    /// what was done, and [`set_aside`](Self::set_aside) keeps it.
    pub fn open(artifacts: Artifacts) -> Self {
        let (rows, damage) = match artifacts.read::<Lineage>(&Partition::study()) {
            Ok(loaded) => (loaded.rows, None),
            Err(Error::Missing { .. }) => (Vec::new(), None),
            Err(error) => (Vec::new(), Some(error)),
        };
        Self { artifacts, rows, damage }
    }

    /// Moves a table that cannot be read aside, so that a new one is written; says so.
    ///
    /// # Errors
    /// The file cannot be moved.
    pub fn set_aside(&mut self) -> Result<Option<String>, Fault> {
        let Some(damage) = self.damage.take() else { return Ok(None) };
        let path = self.artifacts.path::<Lineage>(&Partition::study())?;
        let target = self.free_place();
        let moved = fs::create_dir_all(target.parent().unwrap_or(self.artifacts.root()))
            .and_then(|()| fs::rename(&path, &target));
        moved.map_err(|error| {
            Fault::input(format!("cannot move {} to {}: {error}", path.display(), target.display()))
        })?;
        Ok(Some(format!(
            "note: {damage}; it was moved to {}, and a new one begins with what the tables' footers say",
            target.display()
        )))
    }

    /// A name for a damaged table outside the tables' folders, where none has one.
    fn free_place(&self) -> PathBuf {
        let place = |number: u32| self.artifacts.root().join(".damaged").join(format!("lineage-{number}.parquet"));
        (1..).map(place).find(|path| !path.exists()).unwrap_or_else(|| place(0))
    }

    /// Whether no job ever ran.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.damage.is_none()
    }

    /// The executions of a job, the last one last.
    pub fn of<'rows>(&'rows self, job: &str) -> impl DoubleEndedIterator<Item = &'rows Lineage> {
        self.rows.iter().filter(move |row| row.node == job)
    }

    /// The fingerprint of a job's last execution, if it succeeded.
    pub fn done(&self, job: &str) -> Option<&str> {
        let last = self.of(job).next_back()?;
        (last.status != Status::Failed).then_some(last.fingerprint.as_str())
    }

    /// The seconds of a job's last execution, if it succeeded.
    pub fn took(&self, job: &str) -> Option<f64> {
        let last = self.of(job).next_back()?;
        (last.status == Status::Done).then_some(last.wall_secs)
    }

    /// Adds those executions that are not in the table, since a driver may have been killed after it took some over.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add_new(&mut self, rows: impl IntoIterator<Item = Lineage>) -> Result<(), Fault> {
        let key = |row: &Lineage| (row.node.clone(), row.fingerprint.clone(), row.started_at_secs.to_bits());
        let known: BTreeSet<_> = self.rows.iter().map(key).collect();
        self.add(rows.into_iter().filter(|row| !known.contains(&key(row))).collect::<Vec<_>>())
    }

    /// Adds executions and writes the table.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, rows: impl IntoIterator<Item = Lineage>) -> Result<(), Fault> {
        let before = self.rows.len();
        self.rows.extend(rows);
        if self.rows.len() == before {
            return Ok(());
        }
        let provenance = Provenance::new("driver", 1, serde_json::json!({}));
        Ok(self.artifacts.write(&Partition::study(), &provenance, &self.rows)?)
    }
}
