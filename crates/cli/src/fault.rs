//! What goes wrong, as a person reads it.

use std::error::Error;
use std::fmt;

/// Whose fault a fault is; the number is the exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A defect of ours.
    Defect = 1,
    /// A wrong parameter or configuration.
    Parameter = 2,
    /// An input that is missing, damaged or of another version, or a system that refuses.
    Input = 3,
}

/// One message that ends the program: what was expected, what was found and what to do.
///
/// Any error becomes an input fault by `?`, since what a stage's libraries report is what is wrong with its files.
#[derive(Debug)]
pub struct Fault {
    kind: Kind,
    message: String,
}

impl Fault {
    /// A wrong parameter or configuration.
    pub fn parameter(message: impl Into<String>) -> Self {
        Self { kind: Kind::Parameter, message: message.into() }
    }

    /// An input that is missing, damaged or of another version.
    pub fn input(message: impl Into<String>) -> Self {
        Self { kind: Kind::Input, message: message.into() }
    }

    /// A defect of ours.
    pub fn defect(message: impl Into<String>) -> Self {
        Self { kind: Kind::Defect, message: message.into() }
    }

    /// Whose fault it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl<E: Error> From<E> for Fault {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Many errors already repeat their cause.
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            cause = error.source();
        }
        Self::input(message)
    }
}
