//! Errors as a user reads them, and the exit codes of every program of the pipeline.

use std::fmt;

/// The kind of an error; the number is the exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// An internal error: a bug.
    Bug = 1,
    /// An invalid parameter or configuration.
    Parameter = 2,
    /// An input that is missing, corrupt or of an unsupported version, or an error of the operating system.
    Input = 3,
}

impl Kind {
    /// The exit code.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// The error that ends a program: one message that says what is wrong, where, what was expected and what to do.
///
/// Its kind is chosen where the error is made: a library's error type converts by a `From` of its own, which decides for
/// each variant; an error type without one cannot be used with `?`.
#[derive(Debug)]
pub struct Fault {
    kind: Kind,
    message: String,
}

impl Fault {
    /// An invalid parameter or configuration.
    pub fn parameter(message: impl Into<String>) -> Self {
        Self { kind: Kind::Parameter, message: message.into() }
    }

    /// An input that is missing, corrupt or of an unsupported version, or an error of the operating system.
    pub fn input(message: impl Into<String>) -> Self {
        Self { kind: Kind::Input, message: message.into() }
    }

    /// An internal error.
    pub fn bug(message: impl Into<String>) -> Self {
        Self { kind: Kind::Bug, message: message.into() }
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Bug => write!(formatter, "internal error (bug): {}", self.message),
            Kind::Parameter | Kind::Input => formatter.write_str(&self.message),
        }
    }
}

impl std::error::Error for Fault {}

impl From<schemas::Error> for Fault {
    fn from(error: schemas::Error) -> Self {
        match error {
            schemas::Error::Unkeyed { .. } => Self::bug(error.to_string()),
            _ => Self::input(error.to_string()),
        }
    }
}

impl From<clap::Error> for Fault {
    fn from(error: clap::Error) -> Self {
        Self::parameter(error.to_string())
    }
}

/// A parameter with an invalid value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invalid {
    /// The parameter's name, as in `pipeline.yaml`.
    pub parameter: &'static str,
    /// What is wrong with its value, and what to do.
    pub message: String,
}

impl Invalid {
    /// A parameter and what is wrong with it.
    pub fn new(parameter: &'static str, message: impl Into<String>) -> Self {
        Self { parameter, message: message.into() }
    }
}

impl From<Invalid> for Fault {
    /// The message for a stage's own command line, where the parameter is a flag.
    fn from(invalid: Invalid) -> Self {
        Self::parameter(format!("--{} {}", invalid.parameter.replace('_', "-"), invalid.message))
    }
}
