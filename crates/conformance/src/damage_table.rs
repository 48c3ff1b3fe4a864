//! The table of every damage of every input of every stage, `docs/reliability-damage.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use declarations::{Kind, Stage, StageName};
use schemas::damage::{Damage, replace_rows};

use crate::setup::{Outcome, Setup};
use crate::spoil;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reliability-damage.md");

/// The environment variable that has the rows written in place of compared.
const WRITE: &str = "WRITE_DAMAGE_TABLE";

/// The damages of the columns, in their order.
const DAMAGES: [(&str, How); 10] = [
    ("missing", How::Removed),
    ("truncated", How::Damaged(Damage::Truncated)),
    ("of the next version", How::Damaged(Damage::NextVersion)),
    ("without a column", How::Damaged(Damage::ColumnMissing)),
    ("with another byte in its pages", How::Damaged(Damage::ByteInPages)),
    ("with another byte in its footer", How::Damaged(Damage::ByteInFooter)),
    ("of another table", How::Damaged(Damage::OtherTable)),
    ("of another place", How::Damaged(Damage::OtherPlace)),
    ("with NaN", How::Damaged(Damage::NotFinite)),
    ("with the rows of another step", How::Replaced),
];

/// The first of them are tried on every file of a table, the others on its first.
const OF_EVERY_FILE: usize = 4;

/// The table of weights: others may hold NaN, and equal rows at two steps.
const WEIGHTS: &str = "checkpoints";

#[derive(Clone, Copy)]
enum How {
    Removed,
    Damaged(Damage),
    /// It has the rows of another step of the same training.
    Replaced,
}

/// What is not refused, and where the document says otherwise.
pub(crate) fn check<S: Stage>(setup: &Setup<S>, declared: &BTreeSet<PathBuf>) -> Vec<String> {
    let mut differences = Vec::new();
    let mut tables: BTreeMap<String, Vec<&PathBuf>> = BTreeMap::new();
    for path in declared {
        let table = path.iter().next().unwrap_or_default().to_string_lossy().into_owned();
        tables.entry(table).or_default().push(path);
    }
    let mut rows = BTreeMap::new();
    for (table, files) in &tables {
        let mut cells = Vec::new();
        for (column, (what, how)) in DAMAGES.iter().enumerate() {
            let files = match how {
                How::Damaged(Damage::NotFinite) if table != WEIGHTS => &[],
                How::Replaced if table != WEIGHTS => &[],
                How::Replaced => {
                    let with_another = |file: &&PathBuf| other_step(files, file).is_some();
                    files.iter().position(with_another).map_or(&[][..], |at| &files[at..=at])
                }
                _ if column < OF_EVERY_FILE => files.as_slice(),
                _ => &files[..1],
            };
            let problem = files.iter().find_map(|path| {
                let problem = refusal(setup, path, *how, other_step(&tables[table], path))?;
                Some(format!("{} {what}: {problem}", path.display()))
            });
            cells.push(match (&problem, files) {
                (Some(_), _) => "**used**",
                (None, []) => "–",
                (None, _) => "refused",
            });
            differences.extend(problem);
        }
        rows.insert(table.clone(), format!("| `{}` | `{table}` | {} |", S::NAME, cells.join(" | ")));
    }
    if StageName::ALL.iter().any(|stage| stage.word() == S::NAME) {
        let reads: Vec<_> = S::reads().iter().map(|usage| usage.table).collect();
        differences.extend(compare(S::NAME, &reads, &rows));
    }
    differences
}

/// Another file of the same training: the paths differ in their last folder, the step.
fn other_step<'files>(files: &[&'files PathBuf], path: &Path) -> Option<&'files PathBuf> {
    let training = |file: &Path| file.ancestors().nth(2).map(Path::to_owned);
    files.iter().copied().find(|file| *file != path && training(file) == training(path))
}

/// Why a damaged file is not refused as it should be: by an input error that names it.
fn refusal<S: Stage>(setup: &Setup<S>, path: &Path, how: How, other: Option<&PathBuf>) -> Option<String> {
    setup.reset();
    let file = setup.root().join(path);
    match (how, other) {
        (How::Removed, _) => fs::remove_file(&file).expect("a declared input is among the good ones"),
        (How::Damaged(damage), _) => spoil(&file, damage),
        (How::Replaced, Some(other)) => {
            let replaced = replace_rows(&file, &setup.root().join(other));
            replaced.unwrap_or_else(|error| panic!("{} cannot be replaced: {error}", path.display()));
        }
        (How::Replaced, None) => return Some("there is no other file".to_owned()),
    }
    match setup.run(1) {
        Outcome::Failed(fault) if fault.kind() != Kind::Input => Some(format!("it fails with another error: {fault}")),
        Outcome::Failed(fault) if !fault.to_string().contains(&*path.to_string_lossy()) => {
            Some(format!("the error does not name the file: {fault}"))
        }
        Outcome::Failed(_) => None,
        Outcome::Done => Some("it succeeds: the file is not read".to_owned()),
        Outcome::Panicked => Some("it panics".to_owned()),
    }
}

/// Compares the stage's rows with those of the document, or writes them. The tests of a stage cover different tables.
fn compare(stage: &str, reads: &[&str], rows: &BTreeMap<String, String>) -> Vec<String> {
    static DOCUMENT_IN_USE: Mutex<()> = Mutex::new(());
    let _in_use = DOCUMENT_IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    let text = fs::read_to_string(DOCUMENT).expect("the document of the damages");
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|line| line.starts_with("|---")).expect("a table") + 1;
    let (head, body) = lines.split_at(first);
    let key = |line: &str| -> Option<(String, String)> {
        let mut cells = line.split('`').skip(1).step_by(2).map(str::to_owned);
        Some((cells.next()?, cells.next()?))
    };
    let end = body.iter().position(|line| !line.starts_with('|')).unwrap_or(body.len());
    let (body, tail) = body.split_at(end);
    let mut known: BTreeMap<(String, String), String> =
        body.iter().filter_map(|line| Some((key(line)?, (*line).to_owned()))).collect();
    if std::env::var_os(WRITE).is_some() {
        known.retain(|(of, table), _| of != stage || reads.contains(&table.as_str()));
        known.extend(rows.iter().map(|(table, row)| ((stage.to_owned(), table.clone()), row.clone())));
        let order = |stage: &str| StageName::ALL.iter().position(|name| name.word() == stage);
        let mut written: Vec<_> = known.into_iter().collect();
        written.sort_by_key(|((stage, table), _)| (order(stage), table.clone()));
        let written: Vec<String> = written.into_iter().map(|(_, row)| row).collect();
        let all =
            head.iter().map(|line| (*line).to_owned()).chain(written).chain(tail.iter().map(|line| (*line).to_owned()));
        fs::write(DOCUMENT, all.map(|line| line + "\n").collect::<String>()).expect("the document can be written");
        return Vec::new();
    }
    let stale = known.keys().filter(|(of, table)| of == stage && !reads.contains(&table.as_str()));
    let mut differences: Vec<String> =
        stale.map(|(_, table)| format!("docs/reliability-damage.md has `{table}`, which it does not read")).collect();
    for (table, row) in rows {
        if known.get(&(stage.to_owned(), table.clone())) != Some(row) {
            differences.push(format!("docs/reliability-damage.md lacks this row, which {WRITE}=1 writes:\n{row}"));
        }
    }
    differences
}
