//! What can be wrong with a file from elsewhere.

use std::path::{Path, PathBuf};

/// Why a file could not be read: the file, what was found, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("cannot read {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// The content is not what is read here.
    #[error("{path} {reason}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found and what to do, to follow the path in a message.
        reason: String,
    },
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// What was found, to follow the file's name in a message of one's own.
    pub fn reason(&self) -> String {
        match self {
            Self::Io { source, .. } => format!("cannot be read: {source}"),
            Self::Content { reason, .. } => reason.clone(),
        }
    }

    pub(crate) fn content(path: &Path, reason: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), reason: reason.into() }
    }
}
