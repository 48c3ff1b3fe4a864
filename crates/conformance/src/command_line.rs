//! The command line.

use declarations::command::command;
use declarations::{Job, Stage};

/// The placeholders of values that can be any text.
const ANYTHING: [&str; 3] = ["TEXT", "WORDS", "FOLDER"];

/// The defects of a stage's command line; `good` are valid flags.
pub(crate) fn check<S: Stage>(good: &[String]) -> Vec<String> {
    let parse = |more: &[&str]| {
        let words = [S::NAME].into_iter().chain(good.iter().map(String::as_str)).chain(more.iter().copied());
        Job::<S>::parse(words.map(str::to_owned))
    };
    let mut differences = Vec::new();
    let help = match parse(&["--help"]) {
        Err(help) if help.exit_code() == 0 => help.to_string(),
        _ => return vec!["--help prints no help".to_owned()],
    };
    let command = command::<S>();
    let flags = command.get_arguments().filter_map(|argument| Some((argument.get_long()?, argument)));
    for (flag, argument) in flags {
        let flag = format!("--{flag}");
        if !help.contains(&flag) {
            differences.push(format!("--help does not name {flag}"));
        }
        let placeholder = argument.get_value_names().and_then(|names| names.first());
        if placeholder.is_none_or(|name| ANYTHING.contains(&name.as_str())) {
            continue;
        }
        match parse(&[&flag, "?"]) {
            Err(error) if error.exit_code() == 2 && error.to_string().contains(&flag) => {}
            Err(error) => differences.push(format!("{flag} with an invalid value is another error: {error}")),
            Ok(_) => differences.push(format!("{flag} accepts an invalid value")),
        }
    }
    match parse(&["--no-such-flag"]) {
        Err(error) if error.exit_code() == 2 => {}
        _ => differences.push("an unknown flag does not end with exit code 2".to_owned()),
    }
    differences.extend(round_trip::<S>(good, parse(&[])));
    differences
}

/// Checks that parameters survive the way of the driver: to flags and back.
fn round_trip<S: Stage>(good: &[String], parsed: Result<Job<S>, impl ToString>) -> Option<String> {
    let flags = match parsed {
        Ok(job) => S::flags(&job.parameters),
        Err(error) => return Some(format!("the good flags are refused: {}", error.to_string())),
    };
    let words = flags.iter().flat_map(|flag| [format!("--{}", flag.name.replace('_', "-")), flag.value.clone()]);
    match Job::<S>::parse([S::NAME.to_owned()].into_iter().chain(good.iter().cloned()).chain(words)) {
        Ok(job) if S::flags(&job.parameters) == flags => None,
        Ok(_) => Some("the flags of its parameters parse as other parameters".to_owned()),
        Err(error) => Some(format!("the flags of its parameters are refused: {error}")),
    }
}
