//! Groups of arguments that several stages share.

use std::path::PathBuf;

use clap::Args;

/// Where the tables lie.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// Folder that holds all tables of the study
    #[arg(long, value_name = "FOLDER", default_value = "artifacts/laptop", help_heading = "Where")]
    pub artifacts: PathBuf,
}

/// Which training is worked on.
#[derive(Args, Clone, Debug)]
pub struct Node {
    /// Text that was learned, such as shakespeare_char
    #[arg(long, value_name = "NAME", value_parser = folder_name, help_heading = "Where")]
    pub dataset: String,

    /// Run of the study, such as run_0
    #[arg(long, value_name = "NAME", value_parser = folder_name, help_heading = "Where")]
    pub run: String,

    /// Seed of the training
    #[arg(long, value_name = "NUMBER", help_heading = "Where")]
    pub seed: u64,
}

/// How many threads work. Results do not depend on it.
#[derive(Args, Clone, Copy, Debug)]
pub struct Threads {
    /// Threads to work with; 0 takes one per core. The results do not depend on it
    #[arg(long, value_name = "NUMBER", value_parser = threads, default_value_t = 0, help_heading = "How")]
    pub threads: usize,
}

impl Threads {
    /// Makes the process's thread pool; to be called once, before anything uses it.
    pub fn install(self) {
        // The pool can be made once; a second call finds it made and keeps it.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build_global();
    }
}

/// Parses the name of a dataset or a run, which names a folder.
///
/// # Errors
/// What a name may be.
pub fn folder_name(text: &str) -> Result<String, String> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
    if text.chars().all(allowed) && text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_') {
        return Ok(text.to_owned());
    }
    let rule =
        "it names a folder, so it has letters, digits, `_`, `-` and `.`, and starts with a letter, a digit or `_`";
    Err(rule.to_owned())
}

fn threads(text: &str) -> Result<usize, String> {
    /// More than any machine has.
    const MOST: usize = 4096;
    let threads: usize = text.parse().map_err(|_| "it must be a whole number, 0 or more".to_owned())?;
    if threads > MOST { Err(format!("at most {MOST} threads can work")) } else { Ok(threads) }
}

/// How much is said.
#[derive(Args, Clone, Copy, Debug)]
pub struct Verbosity {
    /// Say nothing but errors
    #[arg(long, short, help_heading = "How")]
    pub quiet: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folders_of_their_own() {
        for name in ["run_0", "my-text.v2", "7"] {
            assert_eq!(folder_name(name).as_deref(), Ok(name));
        }
        for name in ["", ".", "..", "../evil", "a/b", "run 9", "é", ".hidden", "-x"] {
            assert!(folder_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn threads_are_counted_and_few() {
        assert_eq!([threads("0"), threads("4096")], [Ok(0), Ok(4096)]);
        assert!(threads("4097").is_err() && threads("-1").is_err() && threads("two").is_err());
    }
}
