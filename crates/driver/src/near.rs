//! Suggestions for mistyped names.

pub use cli::near::nearest;
use indexmap::IndexMap;

/// That there is no such key, the nearest one, and all of them.
pub fn unknown_key<T>(name: &str, known: &IndexMap<String, T>) -> String {
    let keys: Vec<&str> = known.keys().map(String::as_str).collect();
    format!("there is no `{name}`{}; there are {}", nearest(name, keys.iter().copied()), keys.join(", "))
}
