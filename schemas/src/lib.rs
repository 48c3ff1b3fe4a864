//! Every table of the study, declared once: what a row is, what each column is called, measures and in which unit, who
//! writes it and under which version. The stages talk through these tables and through nothing else, and this crate
//! alone opens a Parquet file.
//!
//! A table is a row type: [`tables::TrainingLog`] is one row of `training_log`, and `artifacts.read::<TrainingLog>(…)`
//! reads that table and no other. A file lives at `<root>/<table>/<key>=<value>/…/<table>.parquet`, is written in
//! `<root>/.tmp`, synchronised and renamed ([`Writer`]), and says in its footer what it is, who made it, from what and with
//! which parameters ([`Provenance`]). A reader refuses what it does not know ([`Error`]).
//!
//! ```
//! use schemas::{Artifacts, Partition, Provenance, tables::TrainingLog};
//! # fn main() -> Result<(), schemas::Error> {
//! # let folder = tempfile::tempdir().unwrap();
//! let artifacts = Artifacts::new(folder.path());
//! let partition = Partition::dataset("shakespeare_char").run("run_0").seed(1337);
//! let rows = [TrainingLog { step: 0, loss: 4.17, learning_rate: 1e-5, grad_norm: 2.5 }];
//! artifacts.write(&partition, &Provenance::new("train", 1, serde_json::json!({"max_iters": 1})), &rows)?;
//! assert_eq!(artifacts.read::<TrainingLog>(&partition)?.rows, rows);
//! # Ok(())
//! # }
//! ```

pub mod alphabet;
mod artifacts;
pub mod attention;
mod cell;
mod checksum;
mod copy;
mod corpus;
#[doc(hidden)]
pub mod damage;
pub mod enums;
mod error;
mod file_footer;
mod footer;
mod lists;
mod measure;
mod partition;
mod read;
mod table;
pub mod tables;
mod temporary;
mod write;

pub use alphabet::{Alphabet, Unit};
pub use arrow_schema::DataType;
pub use artifacts::{Artifacts, Loaded};
pub use atomic_file::{AtomicFile, Fence};
pub use cell::Cell;
pub use error::{Advice, Error};
pub use file_footer::Footer;
pub use footer::{Provenance, Source};
pub use measure::{Measure, Quantity, Stderr, Uniform};
pub use partition::{Key, Partition};
pub use read::Reader;
pub use table::{Column, Description, Table, TableVisitor, UnknownWord, type_name};
pub use write::{Encoder, Group, Writer};
