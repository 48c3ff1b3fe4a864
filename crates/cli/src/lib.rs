//! What every stage's command line shares: argument groups, progress, errors and exit codes.
//!
//! A stage's `main` is one call of [`run`]; what it works on is described by the argument groups [`Place`], [`Node`] and
//! [`Threads`]; how far it is, it tells its [`Terminal`]; and what goes wrong is a [`Fault`].

mod arguments;
mod fault;
mod steps;
mod study;
mod terminal;

use std::process::ExitCode;

pub use arguments::{Node, Place, Threads, Verbosity, folder_name};
pub use fault::{Fault, Kind};
pub use steps::Steps;
pub use study::{Part, Study, StudyDataset, StudyRun};
pub use terminal::{Notice, Progress, RELAY, Terminal};

/// Parses the command line, runs the work and reports how it ended: exit code 0 done, 1 a defect of ours, 2 a wrong
/// parameter, 3 an input that is missing, damaged or of another version.
pub fn run<Arguments: clap::Parser>(
    verbosity: impl Fn(&Arguments) -> Verbosity,
    work: impl FnOnce(Arguments, &Terminal) -> Result<(), Fault>,
) -> ExitCode {
    let arguments = Arguments::parse();
    let terminal = Terminal::new(verbosity(&arguments));
    match work(arguments, &terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            terminal.fail(&fault);
            ExitCode::from(fault.kind() as u8)
        }
    }
}
