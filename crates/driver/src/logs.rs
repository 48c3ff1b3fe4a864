//! A log of each job: its commands, what it said and how it ended, one execution after the other.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const FOLDER: &str = ".logs";

/// Where a job's log lies: `.logs/train/shakespeare_char/run_1/1337.log`.
pub fn path(root: &Path, job: &str) -> PathBuf {
    let words: Vec<&str> = job.split([' ', '/']).filter(|word| !word.is_empty()).collect();
    let mut path = words.iter().fold(root.join(FOLDER), |folder, word| folder.join(word)).into_os_string();
    path.push(".log");
    path.into()
}

/// The log of a job that runs. What cannot be written is left out: a log is no reason to stop a training.
#[derive(Debug)]
pub struct Log {
    file: Option<File>,
}

impl Log {
    /// Appends to a job's log.
    pub fn open(root: &Path, job: &str) -> Self {
        let path = path(root, job);
        let open = || -> io::Result<File> {
            fs::create_dir_all(path.parent().unwrap_or(root))?;
            File::options().create(true).append(true).open(&path)
        };
        Self { file: open().ok() }
    }

    /// Adds a line.
    pub fn write(&mut self, text: &str) {
        if let Some(file) = &mut self.file {
            let _ = writeln!(file, "{text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_of_a_job_are_appended() {
        let folder = tempfile::tempdir().unwrap();
        let job = "train shakespeare_char/run_1/1337";
        Log::open(folder.path(), job).write("one");
        Log::open(folder.path(), job).write("two");
        let path = path(folder.path(), job);
        assert_eq!(path, folder.path().join(".logs/train/shakespeare_char/run_1/1337.log"));
        assert_eq!(fs::read_to_string(path).unwrap(), "one\ntwo\n");
        Log::open(Path::new("/dev/null/none"), job).write("lost");
    }
}
