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
    /// No error: SIGINT asked for it, and the work so far is saved.
    Interrupted = 128 + Signal::Interrupt as isize,
    /// No error: SIGTERM asked for it, and the work so far is saved.
    Terminated = 128 + Signal::Terminate as isize,
}

impl Kind {
    /// The exit code.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// A signal by which a user or the system asks a program to stop; its number is the same on every system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// SIGINT, as by Ctrl-C.
    Interrupt = 2,
    /// SIGTERM, as by a scheduler or a shutdown.
    Terminate = 15,
}

impl fmt::Display for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
        })
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

    /// A request to stop that was followed; the message says what is saved and how to go on.
    pub fn stopped(signal: Signal, message: impl Into<String>) -> Self {
        let kind = match signal {
            Signal::Interrupt => Kind::Interrupted,
            Signal::Terminate => Kind::Terminated,
        };
        Self { kind, message: format!("stopped by {signal}: {}", message.into()) }
    }

    /// Whether it is no error: a request to stop was followed.
    pub fn is_stop(&self) -> bool {
        matches!(self.kind, Kind::Interrupted | Kind::Terminated)
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
            _ => formatter.write_str(&self.message),
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

/// A parameter with a value that is invalid or, in a warning, probably not meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Invalid {
    /// The parameter's name, as in `pipeline.yaml`.
    pub parameter: &'static str,
    /// What is wrong with its value or what it does, and what to do.
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
