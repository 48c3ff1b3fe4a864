//! What `squeue` and `sacct` list, and what the states in Slurm's words mean.

use crate::runner::End;

/// A line of `squeue` or `sacct`.
#[derive(Debug, PartialEq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) index: u32,
    pub(super) state: String,
    pub(super) reason: String,
}

/// What a state means for a task.
pub(super) enum Meaning {
    Waits,
    Runs,
    Ended(End),
}

/// What a state in Slurm's words means.
pub(super) fn meaning(state: &str, reason: &str) -> Meaning {
    // `sacct` says `CANCELLED by 1000`.
    match state.split(' ').next().unwrap_or_default() {
        "RUNNING" | "COMPLETING" | "SUSPENDED" | "STOPPED" | "SIGNALING" | "STAGE_OUT" | "RESIZING" => Meaning::Runs,
        "COMPLETED" => Meaning::Ended(End::Completed),
        "CANCELLED" => Meaning::Ended(End::Cancelled { by_dependency: reason.starts_with("Dependency") }),
        "FAILED" | "TIMEOUT" | "NODE_FAIL" | "PREEMPTED" | "OUT_OF_MEMORY" | "BOOT_FAIL" | "DEADLINE" | "REVOKED" => {
            Meaning::Ended(End::Broken(state.to_owned()))
        }
        // PENDING, CONFIGURING, REQUEUED and whatever else comes before running.
        _ => Meaning::Waits,
    }
}

/// A line of `squeue`: `train-3f…|12|0|PENDING|Dependency`.
pub(super) fn parse_squeue(line: &str) -> Option<Listed> {
    let mut words = line.split('|').map(|word| word.trim().to_owned());
    let (name, id, index, state) = (words.next()?, words.next()?, words.next()?, words.next()?);
    Some(Listed { name, id, index: index.parse().ok()?, state, reason: words.next().unwrap_or_default() })
}

/// A line of `sacct`: `train-3f…|12_0|COMPLETED`. Tasks that wait are one line, `12_[0-3]`, which tells nothing new.
pub(super) fn parse_sacct(line: &str) -> Option<Listed> {
    let mut words = line.split('|').map(|word| word.trim().to_owned());
    let (name, task, state) = (words.next()?, words.next()?, words.next()?);
    let (id, index) = task.split_once('_')?;
    Some(Listed { name, id: id.to_owned(), index: index.parse().ok()?, state, reason: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read() {
        let task = parse_sacct("train-1|13_2|CANCELLED by 1000").unwrap();
        assert_eq!((task.index, task.id.as_str()), (2, "13"));
        assert!(matches!(meaning(&task.state, ""), Meaning::Ended(End::Cancelled { by_dependency: false })));
        assert_eq!(parse_sacct("train-1|13_[0-3]|PENDING"), None);
    }
}
