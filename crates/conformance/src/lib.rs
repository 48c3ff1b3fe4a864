//! Checks a stage against its declaration: its command line, the files that it writes and the files that it reads. For tests.

mod command_line;
mod damage_table;
mod setup;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cli::Terminal;
use declarations::{Fault, Job, Kind, Stage};
use schemas::damage::{Damage, damage};

use crate::setup::{Outcome, Setup};

/// A stage's work.
pub type Run<S> = fn(&Job<S>, &Terminal) -> Result<(), Fault>;

/// The table of wall-clock times, the only one that differs from one execution to the next.
const CLOCKS: &str = "timings";

/// Checks a stage against its declaration. `good` writes inputs into a folder and returns the flags of a job on them, without
/// `--artifacts`.
///
/// - Help names every flag. An unknown flag and an invalid value end with exit code 2.
/// - A job writes every declared output, and nothing outside the declared folders. On another number of threads it writes the
///   same bytes, but for times.
/// - Each declared input is read: without it, or with one of the damages of `docs/reliability-damage.md`, it is an input error
///   that names the file. That table is compared; with `WRITE_DAMAGE_TABLE` in the environment, the stage's rows are written.
///   Columns after the known ones are ignored. Without rows it may be refused, but is no bug.
///
/// # Panics
/// If the stage does not conform, with all differences.
pub fn conforms<S: Stage>(run: Run<S>, good: impl Fn(&Path) -> Vec<String>) {
    check(run, &good, true);
}

/// Checks a stage as [`conforms`] does, except that no table is without rows: for a job that reads no other tables than one that
/// was checked, where an execution takes long.
///
/// # Panics
/// As [`conforms`].
pub fn conforms_with_rows<S: Stage>(run: Run<S>, good: impl Fn(&Path) -> Vec<String>) {
    check(run, &good, false);
}

fn check<S: Stage>(run: Run<S>, good: &impl Fn(&Path) -> Vec<String>, without_rows: bool) {
    let setup = Setup::new(run, good);
    let mut differences = command_line::check::<S>(setup.flags());
    differences.extend(outputs(&setup, &Setup::new(run, good)));
    differences.extend(inputs(&setup, without_rows));
    assert!(differences.is_empty(), "{} does not conform to its declaration:\n{}", S::NAME, differences.join("\n"));
}

fn outputs<S: Stage>(setup: &Setup<S>, other: &Setup<S>) -> Vec<String> {
    for (setup, threads) in [(setup, 1), (other, 3)] {
        if let Some(problem) = setup.run(threads).problem() {
            return vec![format!("on good inputs it {problem}")];
        }
    }
    let Job { parameters, partition, .. } = &setup.job();
    let declared = S::outputs(parameters, partition);
    let folders = S::folders(parameters, partition);
    let (written, again) = (setup.written(), other.written());
    let mut differences = Vec::new();
    let missing = declared.iter().filter(|path| !written.contains_key(*path));
    differences.extend(missing.map(|path| format!("it does not write {}", path.display())));
    let outside = written.keys().filter(|path| !folders.iter().any(|folder| path.starts_with(folder)));
    differences.extend(outside.map(|path| format!("it writes {}, outside its folders", path.display())));
    let paths: BTreeSet<&PathBuf> =
        written.keys().chain(again.keys()).filter(|path| !path.starts_with(CLOCKS)).collect();
    let changed = paths.into_iter().filter(|path| written.get(*path) != again.get(*path));
    differences.extend(changed.map(|path| format!("{} depends on the number of threads", path.display())));
    differences
}

fn inputs<S: Stage>(setup: &Setup<S>, without_rows: bool) -> Vec<String> {
    let Job { parameters, partition, .. } = &setup.job();
    let declared: BTreeSet<PathBuf> = S::inputs(parameters, partition).into_iter().collect();
    let mut differences = damage_table::check::<S>(setup, &declared);
    if without_rows {
        differences.extend(empty(setup, &declared));
    }
    setup.reset();
    declared.iter().for_each(|path| spoil(&setup.root().join(path), Damage::ColumnAdded));
    let problem = setup.run(1).problem();
    differences.extend(problem.map(|problem| format!("on inputs with another column it {problem}")));
    differences
}

/// Compiles the code blocks of the manual.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/extending.md")]
struct Extending;

/// Empties one file of each table, not all, since an execution that accepts it runs to the end.
fn empty<S: Stage>(setup: &Setup<S>, declared: &BTreeSet<PathBuf>) -> Vec<String> {
    let mut differences = Vec::new();
    let mut tables = BTreeSet::new();
    for path in declared.iter().filter(|path| tables.insert(path.iter().next())) {
        setup.reset();
        spoil(&setup.root().join(path), Damage::Empty);
        match setup.run(1) {
            Outcome::Failed(fault) if fault.kind() == Kind::Bug => {
                differences.push(format!("{} without rows: {fault}", path.display()));
            }
            Outcome::Panicked => differences.push(format!("{} without rows: it panics", path.display())),
            Outcome::Failed(_) | Outcome::Done => {}
        }
    }
    differences
}

fn spoil(file: &Path, how: Damage) {
    damage(file, how).unwrap_or_else(|error| panic!("{} cannot be damaged: {error}", file.display()));
}
