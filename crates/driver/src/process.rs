//! A stage's process: started, read, signalled, reaped.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use cli::{Notice, RELAY};
use declarations::Fault;

/// An event of a process.
#[derive(Debug)]
pub(crate) enum Event {
    /// It wrote a line: a notice, or other text.
    Line {
        /// The job that it runs.
        job: usize,
        /// The notice, or the text.
        line: Result<Notice, String>,
    },
    /// It exited and is to be reaped.
    Exited {
        /// The job that it ran.
        job: usize,
        /// How long it took.
        wall: Duration,
    },
}

/// How a process exited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exit {
    /// Its exit code or the signal that killed it.
    pub(crate) status: ExitStatus,
    /// Its largest resident set in bytes, where the system reports it.
    pub(crate) peak_rss_bytes: Option<u64>,
}

/// A child process that has not been reaped.
///
/// The system keeps its id reserved until then, and [`reap`](Self::reap) consumes it, so that a signal never reaches a
/// process that got the same id later. No pidfd is needed for that, which macOS does not have.
#[derive(Debug)]
pub(crate) struct Process {
    pid: libc::pid_t,
}

impl Process {
    /// Starts a program with more variables in its environment; its output and its exit arrive as events of `job`.
    ///
    /// # Errors
    /// The program cannot be started.
    pub(crate) fn start(
        job: usize,
        program: &Path,
        flags: &[String],
        variables: Vec<(OsString, OsString)>,
        events: Sender<Event>,
    ) -> Result<Self, Fault> {
        let mut command = Command::new(program);
        command
            .args(flags)
            .env(RELAY, "1")
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let parent = std::process::id();
        let with_parent = move || die_with_parent(parent);
        // Out of the terminal's group, whose Ctrl-C is for the driver alone: it tells its stages once.
        command.process_group(0);
        // SAFETY: between fork and exec only prctl and getppid are called, which are async-signal-safe.
        unsafe { command.pre_exec(with_parent) };
        let (sender, receiver) = std::sync::mpsc::channel();
        let path = program.to_owned();
        // The thread that starts a process stays until it exits: PR_SET_PDEATHSIG is about that thread.
        thread::spawn(move || {
            let started = Instant::now();
            match command.spawn() {
                Ok(child) => {
                    let pid = child.id();
                    let _ = sender.send(Ok(pid));
                    forward_lines(job, child, &events);
                    wait_for_exit(pid);
                    let _ = events.send(Event::Exited { job, wall: started.elapsed() });
                }
                Err(error) => {
                    let _ = sender.send(Err(Fault::input(format!("cannot start {}: {error}", path.display()))));
                }
            }
        });
        let pid = receiver.recv().map_err(|_| Fault::bug("the thread that starts a process panicked"))??;
        Ok(Self { pid: libc::pid_t::try_from(pid).map_err(|_| Fault::bug("a process id above i32::MAX"))? })
    }

    /// Its id.
    pub(crate) fn id(&self) -> libc::pid_t {
        self.pid
    }

    /// Asks the process to save and exit, by SIGINT: a service manager sends SIGTERM to all processes itself, and the same
    /// signal twice would end a training at once.
    pub(crate) fn interrupt(&self) {
        self.signal(libc::SIGINT);
    }

    /// Kills the process by SIGKILL.
    pub(crate) fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: kill has no memory effects. The id is the child's, which only `reap` gives back. A child that exited
        // is not affected.
        unsafe { libc::kill(self.pid, signal) };
    }

    /// Reaps the process: waits for its exit and asks the system what it used.
    ///
    /// # Errors
    /// The system does not have the child, which is a bug.
    pub(crate) fn reap(self) -> Result<Exit, Fault> {
        let mut status = 0;
        // SAFETY: a zeroed rusage is a valid rusage.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live locals; the child is ours and nothing else reaps it.
        while unsafe { libc::wait4(self.pid, &raw mut status, 0, &raw mut usage) } != self.pid {
            let error = std::io::Error::last_os_error();
            if error.kind() != ErrorKind::Interrupted {
                return Err(Fault::bug(format!("cannot reap process {}: {error}", self.pid)));
            }
        }
        let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
        let peak = u64::try_from(usage.ru_maxrss).ok().filter(|peak| *peak > 0);
        Ok(Exit { status: ExitStatus::from_raw(status), peak_rss_bytes: peak.map(|peak| peak * unit) })
    }
}

/// Lets exited children wait to be reaped, which they would not if the parent of the driver ignored SIGCHLD.
pub(crate) fn keep_exited_children() {
    // SAFETY: the default action of SIGCHLD runs no code.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Whether the parent of this program made it ignore a signal, as nohup does with SIGHUP.
pub(crate) fn is_ignored(signal: libc::c_int) -> bool {
    // SAFETY: a zeroed sigaction is a valid one, and with no new action nothing but the local is written.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Kills the child when the driver is killed, so that no two drivers ever have a process of the same job. A softer signal
/// would let a training write its last commit beside the one that the next driver starts.
fn die_with_parent(parent: u32) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    // SAFETY: prctl with PR_SET_PDEATHSIG reads no memory of ours, and _exit does not return.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // The parent may have exited before the call.
        if std::os::unix::process::parent_id() != parent {
            libc::_exit(1);
        }
    }
    let _ = parent;
    Ok(())
}

/// Sends what a child writes, line by line, until it closes its output.
fn forward_lines(job: usize, mut child: Child, events: &Sender<Event>) {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        if let Some(stdout) = stdout {
            scope.spawn(|| forward(job, stdout, events));
        }
        if let Some(stderr) = stderr {
            scope.spawn(|| forward(job, stderr, events));
        }
    });
}

fn forward(job: usize, stream: impl Read, events: &Sender<Event>) {
    let mut stream = BufReader::new(stream);
    let mut bytes = Vec::new();
    while let Ok(1..) = stream.read_until(b'\n', &mut bytes) {
        let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        let line = serde_json::from_str::<Notice>(&text).map_err(|_| text);
        let _ = events.send(Event::Line { job, line });
        bytes.clear();
    }
}

/// Waits until a child exits, without reaping it. [`Process::reap`] reports a failure.
fn wait_for_exit(pid: u32) {
    // SAFETY: a zeroed siginfo_t is a valid one.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: the pointer is to a live local.
        let result = unsafe { libc::waitid(libc::P_PID, pid, &raw mut info, libc::WEXITED | libc::WNOWAIT) };
        if result == 0 || std::io::Error::last_os_error().kind() != ErrorKind::Interrupted {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// Starts a shell's script and waits until its exit is reported, as the scheduler does.
    fn exited(script: &str, act: impl FnOnce(&Process)) -> Process {
        let (sender, events) = channel();
        let flags = ["-c", script].map(str::to_owned);
        let process = Process::start(3, Path::new("/bin/sh"), &flags, vec![], sender).unwrap();
        act(&process);
        while !matches!(events.recv().unwrap(), Event::Exited { job: 3, .. }) {}
        process
    }

    fn is_reserved(pid: libc::pid_t) -> bool {
        // SAFETY: signal 0 is sent to nobody.
        unsafe { libc::kill(pid, 0) == 0 }
    }

    #[test]
    fn the_id_of_a_process_stays_reserved_until_it_is_reaped() {
        let process = exited("exit 7", |_| {});
        assert!(is_reserved(process.pid), "a signal could reach another process");
        process.interrupt();
        let pid = process.pid;
        let exit = process.reap().unwrap();
        assert_eq!((exit.status.code(), exit.peak_rss_bytes.is_some_and(|peak| peak > 100_000)), (Some(7), true));
        assert!(!is_reserved(pid));
    }

    #[test]
    fn a_process_is_interrupted_and_killed() {
        let interrupted = exited("exec sleep 60", Process::interrupt).reap().unwrap();
        assert_eq!(interrupted.status.signal(), Some(libc::SIGINT));
        let killed = exited("exec sleep 60", Process::kill).reap().unwrap();
        assert_eq!(killed.status.signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn a_program_that_cannot_be_started_is_named() {
        let fault = Process::start(0, Path::new("/no/such/program"), &[], vec![], channel().0).unwrap_err();
        assert!(fault.to_string().starts_with("cannot start /no/such/program: "), "{fault}");
    }
}
