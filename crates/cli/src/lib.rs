//! What every program of the pipeline does around its work: parse the command line, report progress, print the error that
//! ended it, and exit with the code of its kind. [`number`] formats the numbers that a reader sees, wherever they appear.
//!
//! A stage's `main` is one call of [`run`]; it reports progress to its [`Terminal`].

pub mod near;
pub mod number;
mod stop;
mod terminal;

use std::process::ExitCode;

use declarations::{Fault, Job, Stage};

pub use stop::Stop;
pub use terminal::{Notice, Progress, RELAY, Terminal};

/// Runs a stage: parses its command line, makes its thread pool, does the work. Exits with 0, or with the code of the error's
/// [`Kind`](declarations::Kind). SIGINT and SIGTERM end it at once.
pub fn run<S: Stage>(work: impl FnOnce(&Job<S>, &Terminal) -> Result<(), Fault>) -> ExitCode {
    start(|| Ok(Stop::default()), work)
}

/// Runs a stage whose work can be saved and resumed. The first SIGINT or SIGTERM is a request that the work finds in
/// [`Terminal::stop`], and ends with [`Fault::stopped`]; the same signal again ends the program at once.
pub fn run_resumable<S: Stage>(work: impl FnOnce(&Job<S>, &Terminal) -> Result<(), Fault>) -> ExitCode {
    start(stop::listen, work)
}

fn start<S: Stage>(
    listen: impl FnOnce() -> Result<Stop, Fault>,
    work: impl FnOnce(&Job<S>, &Terminal) -> Result<(), Fault>,
) -> ExitCode {
    let job = match Job::<S>::parse(std::env::args_os()) {
        Ok(job) => job,
        // Help and version come this way, too: clap prints each where it belongs and exits with 0 or 2.
        Err(error) => error.exit(),
    };
    let mut terminal = Terminal::new(job.execution.quiet);
    match listen() {
        Ok(stop) => terminal.listens(stop),
        Err(fault) => return exit(Err(fault), &terminal),
    }
    let threads = job.execution.threads;
    if let Err(error) = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global() {
        let fault = Fault::parameter(format!("cannot start {threads} threads ({error}): give fewer by --threads"));
        return exit(Err(fault), &terminal);
    }
    exit(work(&job, &terminal), &terminal)
}

/// Prints the error that ended a program, if one did, and gives the exit code.
pub fn exit(ended: Result<(), Fault>, terminal: &Terminal) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            terminal.fail(&fault);
            ExitCode::from(fault.kind().code())
        }
    }
}
