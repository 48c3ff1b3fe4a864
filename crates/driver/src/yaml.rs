//! Parses YAML, with errors that name the path, the line, what was expected, and similar names.

use declarations::Fault;
use serde::de::DeserializeOwned;
use serde_path_to_error::Track;
use serde_saphyr::Error;

use crate::near::nearest;

/// Parses a file's text, called `name` in messages.
///
/// # Errors
/// What is wrong, by its path in the file, its line, what was expected and what was found.
pub fn parse<T: DeserializeOwned>(text: &str, name: &str) -> Result<T, Fault> {
    read(text).map_err(|(error, path)| {
        let line = error.location().map(|location| location.line());
        let found = line.and_then(|line| text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?));
        let location = line.map_or(name.to_owned(), |line| format!("{name}, line {line}"));
        Fault::parameter(explain(&location, &path, &error, found.unwrap_or_default().trim()))
    })
}

/// Parses one `section.parameter=value` as a file with nothing else.
///
/// # Errors
/// As for a file; or there is no key or no value.
pub fn parse_setting<T: DeserializeOwned>(setting: &str) -> Result<T, Fault> {
    let wrong = "is not a setting: write --set SECTION.PARAMETER=VALUE, such as --set train.max_iters=500";
    let (key, value) = setting.split_once('=').ok_or_else(|| Fault::parameter(format!("--set {setting} {wrong}")))?;
    if key.trim().is_empty() || key.split('.').any(|part| part.trim().is_empty()) {
        return Err(Fault::parameter(format!("--set {setting} {wrong}")));
    }
    // YAML reads these as null, which nobody means.
    if value.trim().is_empty() || value.trim_start().starts_with('#') {
        return Err(Fault::parameter(format!(
            "--set {setting}: the value is missing; write one after the `=`, in quotes if it is text"
        )));
    }
    let mut text = String::new();
    for (depth, part) in key.split('.').enumerate() {
        text = format!("{text}\n{}{}:", "  ".repeat(depth), part.trim());
    }
    read(&format!("{text} {value}\n"))
        .map_err(|(error, path)| Fault::parameter(explain(&format!("--set {setting}"), &path, &error, value)))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, (Box<Error>, String)> {
    let mut track = Track::new();
    let options = serde_saphyr::options! { with_snippet: false };
    let value = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        T::deserialize(serde_path_to_error::Deserializer::new(deserializer, &mut track))
    });
    value.map_err(|error| {
        let path = track.path().to_string();
        (Box::new(error), path)
    })
}

fn explain(location: &str, path: &str, error: &Error, found: &str) -> String {
    let found = if found.is_empty() { String::new() } else { format!(", found `{found}`") };
    let at = |message: String| format!("{location}: `{path}` {message}");
    match error.without_snippet() {
        Error::SerdeUnknownField { field, expected, .. } => {
            let near = nearest(field, expected.iter().copied());
            at(format!("is not known{near}; known here: {}", expected.join(", ")))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            let near = nearest(variant, expected.iter().copied());
            at(format!("must be one of {}{found}{near}", expected.join(", ")))
        }
        Error::SerdeMissingField { field, .. } => match path {
            "." => {
                format!("{location}: `{field}` is missing; add it, as in the project's own pipeline.yaml")
            }
            path => format!("{location}: `{path}.{field}` is missing; add it, as in the project's own pipeline.yaml"),
        },
        Error::DuplicateMappingKey { key, .. } => {
            format!("{location}: `{}` occurs twice; keep one", key.as_deref().unwrap_or("a key"))
        }
        other => {
            let message = other.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            match expected(message) {
                Some(expected) => at(format!("must be {expected}{found}")),
                None if path.ends_with('?') || path == "." => format!("{location}: {message}{found}"),
                None => at(format!(": {message}")).replace("` : ", "`: "),
            }
        }
    }
}

/// What the parser expected, in terms of YAML instead of Rust's types.
fn expected(message: &str) -> Option<String> {
    if message.starts_with("cannot deserialize null") {
        return Some("a value: null is none".to_owned());
    }
    let kind = message.strip_prefix("invalid ").or_else(|| message.strip_prefix("expected "))?;
    Some(match kind {
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "floating point" => "a number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "string scalar" => "a single value".to_owned(),
        "sequence start" => "a list such as [a, b]".to_owned(),
        "mapping start" => "settings, each `name: value` on a line of its own below it".to_owned(),
        _ => return None,
    })
}
