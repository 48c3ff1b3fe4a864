//! Where a job of the user's own stage finds its input files and writes: a folder below `.tmp`, from which the driver moves what
//! is complete to its place.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use atomic_file::Fence;
use declarations::{Fault, Flag};

use crate::plan::Job;

/// The flags that every stage of the user's own has, beside its parameters; `dataset`, `run` and `seed` as far as it is per one.
pub(crate) const FLAGS: [&str; 7] = ["artifacts", "dataset", "run", "seed", INPUTS, OUTPUT, "threads"];
const INPUTS: &str = "inputs";
const OUTPUT: &str = "output";

/// The folder of one job below the root. What a killed driver left there is swept by the next.
fn folder(job: &Job) -> PathBuf {
    let words = job.name();
    let words = words.split([' ', '/']).filter(|word| !word.is_empty());
    words.fold(Path::new(".tmp").join("own"), |folder, word| folder.join(word))
}

/// Adds the flags that say where a job finds its inputs and writes.
pub(crate) fn stage_in(job: &mut Job, artifacts: &str) {
    let folder = Path::new(artifacts).join(folder(job));
    for (name, path) in [(INPUTS, folder.join("inputs.tsv")), (OUTPUT, folder.join("output"))] {
        let value = path.display().to_string();
        job.arguments.push(Flag { name: name.to_owned(), value, decides: false });
    }
}

/// The same job in a folder that no other execution of it has: where it may run twice at once, each has a fence.
fn behind(mut job: Job, fence: Option<&Fence>) -> Job {
    let Some(fence) = fence else { return job };
    for flag in job.arguments.iter_mut().filter(|flag| [INPUTS, OUTPUT].contains(&flag.name.as_str())) {
        let path = Path::new(&flag.value);
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { continue };
        flag.value = folder.join(fence.token()).join(name).display().to_string();
    }
    job
}

/// The path after a flag.
fn path(job: &Job, name: &str) -> PathBuf {
    let flag = job.arguments.iter().find(|flag| flag.name == name);
    flag.map(|flag| PathBuf::from(&flag.value)).unwrap_or_default()
}

/// Empties the folder that a job writes to, which is its own behind a fence, and lists its input files: a line each, with the
/// table's name, a tab, and the path.
///
/// # Errors
/// A file or folder cannot be written.
pub(crate) fn prepare(job: Job, root: &Path, fence: Option<&Fence>) -> Result<Job, Fault> {
    let job = behind(job, fence);
    let (inputs, output) = (path(&job, INPUTS), path(&job, OUTPUT));
    let line = |path: &PathBuf| {
        let table = path.iter().next().unwrap_or_default().to_string_lossy();
        format!("{table}\t{}\n", root.join(path).display())
    };
    let list: String = job.inputs.iter().map(line).collect();
    let prepared = || -> io::Result<()> {
        match fs::remove_dir_all(&output) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&output)?,
        }
        fs::write(&inputs, list)
    };
    prepared().map_err(|error| Fault::input(format!("cannot prepare {}: {error}", output.display())))?;
    Ok(job)
}

/// Gives what a job wrote its names, once all of it is there; returns what it wrote beside that, which is not kept.
///
/// # Errors
/// A file is missing, incomplete or cannot be moved, or another execution has taken the job over.
pub(crate) fn publish(job: &Job, root: &Path, fence: Option<&Fence>) -> Result<Vec<String>, Fault> {
    let output = path(job, OUTPUT);
    let written = |path: &PathBuf| output.join(path.file_name().unwrap_or_default());
    for path in &job.results {
        let (file, name) = (written(path), path.file_name().unwrap_or_default().display());
        if !file.is_file() {
            return Err(Fault::input(format!("exited 0 but did not write {name} in the folder of --output")));
        }
        if path.extension().is_some_and(|extension| extension == "parquet") && !is_parquet(&file).unwrap_or(false) {
            return Err(Fault::input(format!("exited 0 but wrote {name}, which is no complete Parquet file")));
        }
    }
    for path in &job.results {
        atomic_file::place(fence, &written(path), root.join(path)).map_err(|error| Fault::input(error.to_string()))?;
    }
    let left = fs::read_dir(&output).into_iter().flatten().flatten();
    let left = left.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    if let Some(folder) = output.parent() {
        let _ = fs::remove_dir_all(folder);
    }
    Ok(left)
}

/// Whether a file begins and ends as a Parquet file does.
fn is_parquet(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut ends = [[0; 4]; 2];
    file.read_exact(&mut ends[0])?;
    file.seek(SeekFrom::End(-4))?;
    file.read_exact(&mut ends[1])?;
    Ok(ends == [*b"PAR1"; 2] && file.metadata()?.len() > 12)
}
