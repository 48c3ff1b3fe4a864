//! One stage's process: started, listened to, waited for, ended.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use cli::{Fault, Notice, RELAY};

/// What a process tells.
#[derive(Debug)]
pub(crate) enum Event {
    /// A line that it wrote: a notice, or anything else as it is.
    Line {
        /// The job.
        job: usize,
        /// The notice, or the line.
        line: Result<Notice, String>,
    },
    /// It ended.
    Ended {
        /// The job.
        job: usize,
        /// How.
        status: ExitStatus,
        /// How long it took.
        wall: Duration,
        /// The largest resident set, where the system says.
        peak_rss_bytes: Option<u64>,
    },
}

/// A process that runs.
#[derive(Debug)]
pub(crate) struct Process {
    pid: libc::pid_t,
}

impl Process {
    /// Starts a program; what it tells arrives as events of `job`.
    pub(crate) fn start(job: usize, program: &Path, flags: &[String], events: Sender<Event>) -> Result<Self, Fault> {
        let mut command = Command::new(program);
        command.args(flags).env(RELAY, "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let parent = std::process::id();
        let with_parent = move || die_with_parent(parent);
        // SAFETY: between fork and exec only prctl and getppid are called, which are async-signal-safe.
        unsafe { command.pre_exec(with_parent) };
        let (sender, receiver) = std::sync::mpsc::channel();
        let path = program.to_owned();
        // The thread that starts a process also waits for it: the system ends the process with that very thread.
        thread::spawn(move || {
            let started = Instant::now();
            match command.spawn() {
                Ok(child) => {
                    let _ = sender.send(Ok(child.id()));
                    watch(job, child, started, &events);
                }
                Err(error) => {
                    let _ = sender.send(Err(Fault::input(format!("cannot start {}: {error}", path.display()))));
                }
            }
        });
        let pid = receiver.recv().map_err(|_| Fault::defect("the thread that starts a process ended"))??;
        Ok(Self { pid: libc::pid_t::try_from(pid).map_err(|_| Fault::defect("a process number out of range"))? })
    }

    /// Asks the process to end; with `force` it is ended.
    pub(crate) fn end(&self, force: bool) {
        // SAFETY: kill has no memory effects; the process is ours and is waited for only after its pipes have closed.
        unsafe { libc::kill(self.pid, if force { libc::SIGKILL } else { libc::SIGTERM }) };
    }
}

/// Whether a signal is ignored, as whoever started this program wished: nohup does so.
pub(crate) fn is_ignored(signal: libc::c_int) -> bool {
    // SAFETY: a zeroed sigaction is a valid one, and with no new action nothing but the local is written.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

/// A driver that is killed takes its stages along, so that no two ever work on one job.
fn die_with_parent(parent: u32) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    // SAFETY: prctl with PR_SET_PDEATHSIG reads no memory of ours.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
        // The parent may have ended before the call.
        if libc::getppid() as u32 != parent {
            libc::_exit(1);
        }
    }
    let _ = parent;
    Ok(())
}

fn watch(job: usize, mut child: Child, started: Instant, events: &Sender<Event>) {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        if let Some(stdout) = stdout {
            scope.spawn(|| relay(job, stdout, events));
        }
        if let Some(stderr) = stderr {
            scope.spawn(|| relay(job, stderr, events));
        }
    });
    let (status, peak_rss_bytes) = wait(child);
    let _ = events.send(Event::Ended { job, status, wall: started.elapsed(), peak_rss_bytes });
}

fn relay(job: usize, stream: impl Read, events: &Sender<Event>) {
    let mut stream = BufReader::new(stream);
    let mut bytes = Vec::new();
    while let Ok(1..) = stream.read_until(b'\n', &mut bytes) {
        let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        let line = serde_json::from_str::<Notice>(&text).map_err(|_| text);
        let _ = events.send(Event::Line { job, line });
        bytes.clear();
    }
}

/// Waits, and asks the system what the process used.
fn wait(child: Child) -> (ExitStatus, Option<u64>) {
    let pid = child.id() as libc::pid_t;
    let mut status = 0;
    // SAFETY: a zeroed rusage is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to live locals; the child is ours and nothing else waits for it.
        let waited = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
        if waited == pid {
            break;
        }
        if std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return (ExitStatus::from_raw(1 << 8), None);
        }
    }
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let peak = u64::try_from(usage.ru_maxrss).ok().filter(|peak| *peak > 0).map(|peak| peak * unit);
    (ExitStatus::from_raw(status), peak)
}
