//! What can be wrong with a file.

use std::path::PathBuf;

/// Why a table could not be read or written. Each message names the file, what was expected, what was found and what
/// to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not there.
    #[error("{path} is missing: `{producer}` writes the table `{table}`, so run that stage first", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The table it would hold.
        table: &'static str,
        /// The stage that writes it.
        producer: &'static str,
    },

    /// The file is not Parquet, cut off, or its pages do not decode.
    #[error("{path} is damaged ({reason}): delete it and rerun `{producer}`", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
        /// The stage that writes it.
        producer: &'static str,
    },

    /// The file says that it is another table or another version, or its footer says nothing.
    #[error(
        "{path} holds {found}, and this program reads {expected}: rerun `{producer}`, or read it with the release that wrote it",
        path = path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The table and version that this program knows.
        expected: String,
        /// What the footer says.
        found: String,
        /// The stage that writes it.
        producer: &'static str,
    },

    /// A column is missing, of another type, or holds nulls where it may not.
    #[error("{path}, column `{column}`: expected {expected}, found {found}: rerun `{producer}`", path = path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The declared type.
        expected: String,
        /// The type in the file.
        found: String,
        /// The stage that writes it.
        producer: &'static str,
    },

    /// The footer's keys are not those of the path: the file was moved or copied by hand.
    #[error("{path} says in its footer that it belongs to {found}: it was moved here by hand; rerun `{producer}`", path = path.display())]
    Misplaced {
        /// The file.
        path: PathBuf,
        /// The keys that the footer repeats.
        found: String,
        /// The stage that writes it.
        producer: &'static str,
    },

    /// The file could not be written; the message names it.
    #[error(transparent)]
    Write(std::io::Error),

    /// The operating system refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried: `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// A table's path needs a key that the partition does not have: a bug in the caller.
    #[error("the table `{table}` is keyed by `{key}`, and the partition has none")]
    Unkeyed {
        /// The table.
        table: &'static str,
        /// The key that is not set.
        key: String,
    },
}
