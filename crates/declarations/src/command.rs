//! The command line of a stage, from its declaration.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command};
use schemas::Partition;

use crate::names::{LARGEST_SEED, check_seed, file_name};
use crate::{Flag, Job, Per, Stage, Value};

/// The flag of the runs that share a job's tables.
const SHARED_BY: &str = "shared_by";

/// How a job is executed. What it writes does not depend on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Execution {
    /// Threads to use; 0 is one per core.
    pub threads: usize,
    /// Whether only errors are printed.
    pub quiet: bool,
}

impl Default for Execution {
    /// One thread, only errors printed.
    fn default() -> Self {
        Self { threads: 1, quiet: true }
    }
}

/// The command of a stage.
pub fn command<S: Stage>() -> Command {
    let summary = S::ABOUT.split("\n\n").next().unwrap_or_default();
    let mut command = Command::new(S::NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .about(prose(summary))
        .long_about(S::ABOUT.split("\n\n").map(prose).collect::<Vec<_>>().join("\n\n"))
        .after_help(format!("Example:\n  {}", S::EXAMPLE))
        .args_override_self(true)
        .arg(
            Arg::new("artifacts")
                .long("artifacts")
                .value_name("FOLDER")
                .value_parser(clap::value_parser!(PathBuf))
                .default_value("artifacts/laptop")
                .help("Folder that holds all tables of the study")
                .help_heading("Where"),
        );
    let key = |name: &'static str, placeholder, help| {
        Arg::new(name).long(name).value_name(placeholder).required(true).help(help).help_heading("Where")
    };
    if S::PER != Per::Study {
        command = command.arg(key("dataset", "NAME", "Dataset, such as shakespeare_char").value_parser(file_name));
    }
    if S::PER == Per::Training {
        command = command
            .arg(key("run", "NAME", "Run of the study, such as run_0").value_parser(file_name))
            .arg(key("seed", "NUMBER", "Seed of the training").value_parser(seed));
    }
    command = command.args(S::arguments());
    if S::PER == Per::Training {
        let help = "Other runs with the same parameters and inputs, separated by commas: the tables stand for them too, under links";
        let names =
            Arg::new(SHARED_BY).long("shared-by").value_name("NAMES").value_delimiter(',').value_parser(file_name);
        command = command.arg(names.help(help).help_heading("How"));
    }
    command
        .arg(
            Arg::new("threads")
                .long("threads")
                .value_name("NUMBER")
                .value_parser(threads)
                .default_value("0")
                .help("Threads to work with; 0 takes one per core. The results do not depend on it")
                .help_heading("How"),
        )
        .arg(
            Arg::new("quiet")
                .long("quiet")
                .short('q')
                .action(ArgAction::SetTrue)
                .help("Print nothing but errors")
                .help_heading("How"),
        )
}

/// Parses a command line, the program's name first.
pub(crate) fn parse<S: Stage, I, T>(words: I) -> Result<Job<S>, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let matches = command::<S>().try_get_matches_from(words)?;
    let parameters = S::from_matches(&matches);
    let mut partition = Partition::study();
    if S::PER != Per::Study {
        partition = Partition::dataset(parsed::<String>(&matches, "dataset").unwrap_or_default());
    }
    if S::PER == Per::Training {
        let seed = parsed::<u64>(&matches, "seed").unwrap_or_default();
        partition = partition.run(parsed::<String>(&matches, "run").unwrap_or_default()).seed(seed);
    }
    let execution = Execution {
        threads: matches.get_one("threads").copied().unwrap_or_default(),
        quiet: matches.get_flag("quiet"),
    };
    let artifacts: PathBuf = matches.get_one::<PathBuf>("artifacts").cloned().unwrap_or_default();
    S::validate(&parameters).map_err(|invalid| {
        command::<S>().error(clap::error::ErrorKind::ValueValidation, crate::Fault::from(invalid).to_string())
    })?;
    let mut job = Job::new(artifacts, partition, parameters, execution);
    if S::PER == Per::Training {
        job.shared_by = matches.get_many(SHARED_BY).into_iter().flatten().cloned().collect();
    }
    Ok(job)
}

/// A parameter on its way to clap.
pub struct Argument<T> {
    name: &'static str,
    help: String,
    heading: &'static str,
    check: fn(&T) -> Result<(), String>,
}

impl<T: Value> Argument<T> {
    /// A parameter and its doc comment.
    pub fn new(name: &'static str, doc: &str) -> Self {
        Self { name, help: prose(doc), heading: "What", check: |_| Ok(()) }
    }

    /// Puts it under a heading.
    #[must_use]
    pub fn under(self, heading: &'static str) -> Self {
        Self { heading, ..self }
    }

    /// Refuses values.
    #[must_use]
    pub fn within(self, check: fn(&T) -> Result<(), String>) -> Self {
        Self { check, ..self }
    }

    /// The argument, with a default.
    pub fn or(self, default: T) -> Arg {
        match default.argument() {
            Some(default) => self.argument().default_value(leaked(default)),
            None => self.argument(),
        }
    }

    /// The argument, without a default.
    pub fn argument(self) -> Arg {
        let Self { name, help, heading, check } = self;
        let argument = Arg::new(name)
            .long(leaked(name.replace('_', "-")))
            .value_name(T::PLACEHOLDER)
            .help(help)
            .help_heading(heading);
        let parse = move |text: &str| {
            let value = T::parse(text)?;
            check(&value)?;
            Ok::<T, String>(value)
        };
        let argument = if T::WORDS.is_empty() {
            argument.value_parser(parse)
        } else {
            let words = T::WORDS.iter().map(|(word, help)| {
                let word = PossibleValue::new(word);
                if help.is_empty() { word } else { word.help(prose(help)) }
            });
            argument.value_parser(PossibleValuesParser::new(words).try_map(move |word| parse(&word)))
        };
        if T::SWITCH { argument.num_args(0..=1).default_missing_value("true") } else { argument }
    }
}

/// A text that lives as long as the program, which clap without its feature `string` wants: a command line is built once.
fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// A parsed value.
pub fn parsed<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Option<T> {
    matches.get_one::<T>(name).cloned()
}

/// Adds a parameter that has a value as a flag.
pub fn flag(flags: &mut Vec<Flag>, name: &str, value: &impl Value, decides: bool) {
    flags.extend(value.argument().map(|value| Flag { name: name.to_owned(), value, decides }));
}

fn seed(text: &str) -> Result<u64, String> {
    let seed = text.parse().map_err(|_| format!("must be a whole number from 0 to {LARGEST_SEED}"))?;
    check_seed(seed)
}

fn threads(text: &str) -> Result<usize, String> {
    /// More than any machine has.
    const MOST: usize = 4096;
    let threads: usize = text.parse().map_err(|_| "it must be a whole number, 0 or more".to_owned())?;
    if threads > MOST { Err(format!("at most {MOST} threads can work")) } else { Ok(threads) }
}

/// Joins the lines of a doc comment to one line.
fn prose(doc: &str) -> String {
    doc.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_small_enough_for_readers() {
        assert_eq!([seed("0"), seed("9223372036854775807")], [Ok(0), Ok(LARGEST_SEED)]);
        assert!(["9223372036854775808", "18446744073709551616", "-1", "x"].iter().all(|text| seed(text).is_err()));
    }

    #[test]
    fn threads_are_counted_and_few() {
        assert_eq!([threads("0"), threads("4096")], [Ok(0), Ok(4096)]);
        assert!(threads("4097").is_err() && threads("-1").is_err() && threads("two").is_err());
    }
}
