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
    #[arg(long, value_name = "NAME", help_heading = "Where")]
    pub dataset: String,

    /// Run of the study, such as run_0
    #[arg(long, value_name = "NAME", help_heading = "Where")]
    pub run: String,

    /// Seed of the training
    #[arg(long, value_name = "NUMBER", help_heading = "Where")]
    pub seed: u64,
}

/// How many threads work. Results do not depend on it.
#[derive(Args, Clone, Copy, Debug)]
pub struct Threads {
    /// Threads to work with; 0 takes one per core. The results do not depend on it
    #[arg(long, value_name = "NUMBER", default_value_t = 0, help_heading = "How")]
    pub threads: usize,
}

impl Threads {
    /// Makes the process's thread pool; to be called once, before anything uses it.
    pub fn install(self) {
        // The pool can be made once; a second call finds it made and keeps it.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build_global();
    }
}

/// How much is said.
#[derive(Args, Clone, Copy, Debug)]
pub struct Verbosity {
    /// Say nothing but errors
    #[arg(long, short, help_heading = "How")]
    pub quiet: bool,
}
