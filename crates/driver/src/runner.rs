//! What runs commands: this machine ([`Local`]), a cluster ([`cluster`](crate::cluster)), or in tests neither. Start, poll,
//! cancel, and where the log is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use atomic_file::{FENCE, Fence};
use cli::Notice;
use declarations::Fault;
use serde::{Deserialize, Serialize};

use crate::plan::quote;
use crate::process::{self, Exit, Process, keep_exited_children};

/// Starts commands and reports what becomes of them.
pub(crate) trait Runner {
    /// Starts the commands of an array and returns what the system calls it: a process id, or the id of the array on a cluster.
    fn spawn(&mut self, array: &Array) -> Result<String, Trouble>;

    /// What happened since the last call; waits up to so long for something to happen.
    fn poll(&mut self, patience: Duration) -> Result<Vec<Event>, Trouble>;

    /// Ends all commands of an array.
    fn cancel(&mut self, array: usize, how: Cancel) -> Result<(), Trouble>;

    /// Takes a command for ended, whatever the system says: it has recorded its end long ago.
    fn forget(&mut self, array: usize, index: u32);

    /// Where the runner keeps what a command of an array wrote, if it does.
    fn log(&self, array: &str, index: u32) -> Option<PathBuf>;
}

/// Commands that start independently of each other: one on this machine, any number on a cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Array {
    /// By which its events name it.
    pub(crate) key: usize,
    /// By which the system knows it; no other array has this name.
    pub(crate) name: String,
    /// Each command with its index.
    pub(crate) commands: Vec<(u32, Command)>,
    /// The arrays that come first.
    pub(crate) after: Vec<After>,
    /// What each command needs: flags of the cluster's command.
    pub(crate) request: Vec<String>,
}

/// A program with its flags.
#[derive(Clone, Debug, Default)]
pub(crate) struct Command {
    /// The program.
    pub(crate) program: PathBuf,
    /// Its flags.
    pub(crate) flags: Vec<String>,
    /// What shows that it still owns its job, where it may run twice at once.
    pub(crate) fence: Option<Fence>,
}

impl fmt::Display for Command {
    /// Quoted for a shell.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", quote(&self.program.display().to_string()))?;
        self.flags.iter().try_for_each(|flag| write!(formatter, " {}", quote(flag)))
    }
}

/// An array that comes before another.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) struct After {
    /// Its key.
    pub(crate) array: usize,
    /// Whether a command waits only for that of the same index; otherwise for all.
    pub(crate) corresponding: bool,
}

/// What happened to a command.
#[derive(Debug)]
pub(crate) struct Event {
    /// Its array.
    pub(crate) array: usize,
    /// Its index in the array.
    pub(crate) index: u32,
    /// What happened.
    pub(crate) what: What,
}

/// What can happen to a command.
#[derive(Debug)]
pub(crate) enum What {
    /// It wrote a line: a notice, or other text. Only on this machine.
    Line(Result<Notice, String>),
    /// The cluster's id of its array. Only on a cluster, as are the next two.
    Named(String),
    /// It waits.
    Waits,
    /// It runs.
    Started,
    /// It exited on this machine after so long.
    Exited(Exit, Duration),
    /// It ended on a cluster.
    Ended(End),
}

/// How a command ended on a cluster, as far as the cluster knows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// With exit code 0.
    Completed,
    /// Cancelled by its user, or since what it waited for failed.
    Cancelled {
        /// Whether the cluster says that it is for the second reason.
        by_dependency: bool,
    },
    /// With another exit code, by a signal, a time limit, or the loss of its node; in the cluster's word.
    Broken(String),
    /// The cluster does not know it.
    Unknown,
}

/// How commands are ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cancel {
    /// They are asked to save and exit.
    Interrupt,
    /// They are killed.
    Kill,
}

/// Why a runner did not do what it was to do.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It is busy or cannot be reached: it may be tried again later.
    Away(String),
    /// It refused.
    Refused(Fault),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault)
    }
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Away(message) => Self::input(message),
            Trouble::Refused(fault) => fault,
        }
    }
}

/// This machine: each command is a child process.
pub(crate) struct Local {
    processes: BTreeMap<usize, Process>,
    sender: Sender<process::Event>,
    events: Receiver<process::Event>,
}

impl Local {
    /// Without processes.
    pub(crate) fn new() -> Self {
        keep_exited_children();
        let (sender, events) = channel();
        Self { processes: BTreeMap::new(), sender, events }
    }
}

impl Runner for Local {
    fn spawn(&mut self, array: &Array) -> Result<String, Trouble> {
        let [(_, Command { program, flags, fence })] = array.commands.as_slice() else {
            return Err(Fault::bug("on this machine an array has one command").into());
        };
        let variables = fence.iter().map(|fence| (OsString::from(FENCE), fence.to_variable())).collect();
        let process = Process::start(array.key, program, flags, variables, self.sender.clone())?;
        let id = process.id().to_string();
        self.processes.insert(array.key, process);
        Ok(id)
    }

    fn poll(&mut self, patience: Duration) -> Result<Vec<Event>, Trouble> {
        let (array, what) = match self.events.recv_timeout(patience) {
            Ok(process::Event::Line { job, line }) => (job, What::Line(line)),
            Ok(process::Event::Exited { job, wall }) => {
                let Some(process) = self.processes.remove(&job) else { return Ok(Vec::new()) };
                (job, What::Exited(process.reap()?, wall))
            }
            Err(RecvTimeoutError::Timeout) => return Ok(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => return Err(Fault::bug("the channel of events is closed").into()),
        };
        Ok(vec![Event { array, index: 0, what }])
    }

    fn cancel(&mut self, array: usize, how: Cancel) -> Result<(), Trouble> {
        if let Some(process) = self.processes.get(&array) {
            match how {
                Cancel::Interrupt => process.interrupt(),
                Cancel::Kill => process.kill(),
            }
        }
        Ok(())
    }

    /// A process that has ended is known to have.
    fn forget(&mut self, _array: usize, _index: u32) {}

    /// What a process writes arrives as events.
    fn log(&self, _array: &str, _index: u32) -> Option<PathBuf> {
        None
    }
}
