//! What can be wrong with a file.

use std::fmt;
use std::path::PathBuf;

/// What to do about a file whose content is not what it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Advice {
    /// A stage of this pipeline wrote it, and writes it again.
    Rerun(&'static str),
    /// Another program wrote it.
    Correct,
}

impl fmt::Display for Advice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rerun(producer) => write!(formatter, "rerun `{producer}`"),
            Self::Correct => formatter.write_str("correct it as docs/foreign-tables.md describes"),
        }
    }
}

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
    #[error("{path} is damaged ({reason}): restore it from a copy, or move it away and rerun `{producer}`", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
        /// The stage that writes it.
        producer: &'static str,
    },

    /// The file is sound Parquet, but uses what this program does not read.
    #[error("{path} is sound, but {reason}", path = path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is not read and what is, to follow "but" in a message.
        reason: String,
    },

    /// The file says that it is another table or another version, or its footer says nothing.
    #[error(
        "{path} holds {found}, and this program reads {expected}: {}",
        match advice {
            Advice::Rerun(_) => format!("{advice}, or read it with the release that wrote it"),
            Advice::Correct => advice.to_string(),
        },
        path = path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The table and version that this program knows.
        expected: String,
        /// What the footer says.
        found: String,
        /// What to do.
        advice: Advice,
    },

    /// A column is missing, of another type, or holds nulls where it may not.
    #[error("{path}, column `{column}`: expected {expected}, found {found}: {advice}", path = path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The declared type.
        expected: String,
        /// The type in the file.
        found: String,
        /// What to do.
        advice: Advice,
    },

    /// The footer's keys are not those of the path: the file was moved or copied by hand.
    #[error(
        "{path} says in its footer that it belongs to {found}: {}{advice}",
        if matches!(advice, Advice::Rerun(_)) { "it was moved here by hand; " } else { "" },
        path = path.display()
    )]
    Misplaced {
        /// The file.
        path: PathBuf,
        /// The keys that the footer repeats.
        found: String,
        /// What to do.
        advice: Advice,
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
