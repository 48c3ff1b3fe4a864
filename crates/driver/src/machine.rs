//! What the machine allows: cores, memory and room on the disk.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What jobs may use together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// The cores that the affinity mask and the control group allow.
    pub cores: usize,
    /// How many jobs run at once, at most.
    pub parallel_jobs: usize,
    /// The memory for all of them in bytes; infinite where the system does not say.
    pub memory: f64,
}

impl Machine {
    /// This machine, for so many jobs at once, or for one on each core.
    pub fn new(parallel_jobs: Option<usize>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Slurm does not always bind a task to the cores that it gave it.
        let given = |name| std::env::var(name).ok().and_then(|number| number.parse::<usize>().ok());
        let cores = given("SLURM_CPUS_PER_TASK").filter(|given| *given > 0).map_or(cores, |given| given.min(cores));
        Self { cores, parallel_jobs: parallel_jobs.unwrap_or(cores), memory: available_memory() }
    }

    /// The threads of a job that starts while others use `busy` cores and up to `waiting` more are ready, itself included. The
    /// last jobs of a run get the cores that nobody else uses, and no core has two threads as long as there are no more jobs
    /// than cores.
    pub fn threads(&self, busy: usize, waiting: usize, running: usize) -> usize {
        let free = self.cores.saturating_sub(busy);
        let slots = self.parallel_jobs.saturating_sub(running).min(waiting).max(1);
        (free / slots).max(1)
    }
}

/// The memory that is free for this process and its children: the machine's, and what the control group still allows.
fn available_memory() -> f64 {
    let of_machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? * 1024.0)
    });
    let of_group = control_groups().into_iter().filter_map(|folder| {
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<f64>().ok();
        let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let cache = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.trim().parse::<f64>().ok());
        // Cached files give way where memory is needed.
        Some(read("memory.max")? - read("memory.current")? + cache.unwrap_or_default())
    });
    of_group.fold(of_machine.unwrap_or(f64::INFINITY), f64::min)
}

/// The folders of this process's control group (version 2) and of those above it, each of which may have a limit.
fn control_groups() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    Path::new(group).ancestors().map(|group| Path::new("/sys/fs/cgroup").join(group)).collect()
}

/// The largest resident set of this process so far, in bytes.
pub fn own_memory() -> f64 {
    // SAFETY: a zeroed rusage is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live local.
    let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let unit = if cfg!(target_os = "macos") { 1.0 } else { 1024.0 };
    if result == 0 { usage.ru_maxrss as f64 * unit } else { 0.0 }
}

/// The bytes that can still be written in a folder or, if it does not exist yet, in the nearest one above it.
pub fn free_bytes(folder: &Path) -> Option<f64> {
    let absolute = std::path::absolute(folder).ok()?;
    let existing = absolute.ancestors().find(|folder| folder.exists())?;
    let path = CString::new(existing.as_os_str().as_bytes()).ok()?;
    // SAFETY: a zeroed statvfs is a valid one.
    let mut room: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends with a zero byte, and the other pointer is to a live local.
    let result = unsafe { libc::statvfs(path.as_ptr(), &raw mut room) };
    (result == 0).then_some(room.f_bavail as f64 * room.f_frsize as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The threads of jobs that start one after the other on an idle machine.
    fn threads(cores: usize, parallel_jobs: usize, ready: usize) -> Vec<usize> {
        let machine = Machine { cores, parallel_jobs, memory: f64::INFINITY };
        let mut started: Vec<usize> = Vec::new();
        while started.len() < ready.min(parallel_jobs) {
            let busy = started.iter().sum();
            started.push(machine.threads(busy, ready - started.len(), started.len()));
        }
        started
    }

    #[test]
    fn jobs_share_the_cores_and_use_all_of_them() {
        assert_eq!(threads(2, 2, 9), [1, 1]);
        assert_eq!(threads(16, 16, 9), [1, 1, 2, 2, 2, 2, 2, 2, 2]);
        assert_eq!(threads(16, 16, 1), [16]);
        assert_eq!(threads(8, 2, 9), [4, 4]);
        assert_eq!(threads(4, 16, 9), [1, 1, 1, 1, 1, 1, 1, 1, 1], "more jobs than cores were asked for");
        for cores in 1..=64 {
            for ready in 1..=40 {
                let used: usize = threads(cores, cores, ready).iter().sum();
                assert_eq!(used, cores, "{cores} cores, {ready} jobs");
            }
        }
    }

    #[test]
    fn a_folder_that_is_not_there_yet_has_the_room_of_the_one_above() {
        let folder = tempfile::tempdir().unwrap();
        let room = free_bytes(folder.path()).unwrap();
        assert!(room > 0.0);
        assert!(free_bytes(&folder.path().join("a/b/c")).unwrap() > 0.0);
    }
}
