//! Where a parameter was written: the file's line, or the `--set` of the command line.

use std::fmt;

use declarations::{Fault, Invalid};
use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::experiment::Experiment;

/// The line of each key of a YAML file.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    file: String,
    keys: IndexMap<String, Key>,
}

impl Lines {
    /// Those of a file's text, called `file` in messages. A text that is no YAML has none.
    pub fn new(text: &str, file: &str) -> Self {
        let keys = serde_saphyr::from_str::<Keys>(text).map(|keys| keys.0).unwrap_or_default();
        Self { file: file.to_owned(), keys }
    }

    /// Where a key is, for a message: the file, its line if there is such a key, and the keys that lead to it.
    pub fn place(&self, path: &[&str]) -> String {
        let line = self.line(path).map_or(String::new(), |line| format!(", line {line}"));
        let file = if self.file.is_empty() { String::new() } else { format!("{}{line}: ", self.file) };
        format!("{file}`{}`", path.join("."))
    }

    /// The line of a key, by the keys that lead to it.
    pub fn line(&self, path: &[&str]) -> Option<u64> {
        let (last, above) = path.split_last()?;
        let mut keys = &self.keys;
        for key in above {
            keys = &keys.get(*key)?.below.0;
        }
        keys.get(*last).map(|key| key.line)
    }
}

/// A key's line, and the keys below it.
#[derive(Clone, Debug)]
struct Key {
    line: u64,
    below: Keys,
}

/// The keys of a mapping; none where the value is something else.
#[derive(Clone, Debug, Default)]
struct Keys(IndexMap<String, Key>);

impl<'text> Deserialize<'text> for Keys {
    fn deserialize<D: Deserializer<'text>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeysVisitor)
    }
}

struct KeysVisitor;

impl<'text> Visitor<'text> for KeysVisitor {
    type Value = Keys;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_map<A: MapAccess<'text>>(self, mut map: A) -> Result<Keys, A::Error> {
        let mut keys = IndexMap::new();
        while let Some((name, value)) = map.next_entry::<String, Spanned<Keys>>()? {
            let line = value.referenced.line();
            keys.insert(name, Key { line, below: value.value });
        }
        Ok(Keys(keys))
    }

    fn visit_seq<A: SeqAccess<'text>>(self, mut sequence: A) -> Result<Keys, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Keys::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Keys, E> {
        Ok(Keys::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Keys, E> {
        Ok(Keys::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Keys, E> {
        Ok(Keys::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Keys, E> {
        Ok(Keys::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Keys, E> {
        Ok(Keys::default())
    }

    fn visit_unit<E>(self) -> Result<Keys, E> {
        Ok(Keys::default())
    }

    fn visit_none<E>(self) -> Result<Keys, E> {
        Ok(Keys::default())
    }

    fn visit_some<D: Deserializer<'text>>(self, deserializer: D) -> Result<Keys, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

/// Where the parameters of a study were written.
#[derive(Clone, Debug)]
pub struct Origin {
    lines: Lines,
    profile: String,
    settings: Vec<String>,
}

impl Origin {
    /// That of a profile of an experiment, with `--set`.
    pub fn new(experiment: &Experiment, profile: &str, settings: &[String]) -> Self {
        Self { lines: experiment.lines.clone(), profile: profile.to_owned(), settings: settings.to_vec() }
    }

    /// Where a key is, for a message.
    pub(crate) fn place_of(&self, path: &[&str]) -> String {
        self.lines.place(path)
    }

    /// The refusal of a parameter, with the place that decided it: the last `--set`, else the run, else the profile, else the
    /// stage's section.
    pub(crate) fn refuse(&self, stage: &str, invalid: &Invalid, run: Option<&str>, dataset: Option<&str>) -> Fault {
        let of = [run, dataset].into_iter().flatten().collect::<Vec<_>>().join(" of ");
        let of = if of.is_empty() { of } else { format!(" ({of})") };
        Fault::parameter(format!("{}{of}", self.describe(stage, invalid, run, dataset)))
    }

    /// A warning of a parameter of one dataset, whichever of its runs have it.
    pub(crate) fn warn(&self, stage: &str, warning: &Invalid, run: Option<&str>, dataset: Option<&str>) -> String {
        let of = dataset.map_or(String::new(), |dataset| format!(" ({dataset})"));
        format!("warning: {}{of}", self.describe(stage, warning, run, dataset))
    }

    fn describe(&self, stage: &str, invalid: &Invalid, run: Option<&str>, dataset: Option<&str>) -> String {
        let Invalid { parameter, message } = invalid;
        let place = self.place(stage, parameter, run, dataset);
        format!("{place}`{stage}.{parameter}` {message}")
    }

    fn place(&self, stage: &str, parameter: &str, run: Option<&str>, dataset: Option<&str>) -> String {
        let key = format!("{stage}.{parameter}");
        let own = dataset.map(|dataset| format!("per_dataset.{dataset}.{key}"));
        let is_set = |setting: &&String| {
            let name = setting.split('=').next().unwrap_or_default().trim();
            name == key || own.as_deref() == Some(name)
        };
        if let Some(setting) = self.settings.iter().rev().find(is_set) {
            return format!("--set {setting}: ");
        }
        let profile = ["profiles", &self.profile];
        let of_run = run.map(|run| vec!["runs", run, stage, parameter]);
        let of_dataset = dataset.map(|dataset| [&profile[..], &["per_dataset", dataset, stage, parameter]].concat());
        let prep = dataset.map(|dataset| vec!["datasets", dataset, parameter]).filter(|_| stage == "prep");
        let of_profile = [&profile[..], &[stage, parameter]].concat();
        let paths = [of_run, of_dataset, prep, Some(of_profile), Some(vec![stage, parameter])];
        let line = paths.into_iter().flatten().find_map(|path| self.lines.line(&path));
        line.map_or(String::new(), |line| format!("{}, line {line}: ", self.lines.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_line() {
        let text = "a: 1\nb:\n  c: [1, 2]\n  d: &x { e: null }\n  f: *x\ng: {h: 'i', j: 1.5}\n";
        let lines = Lines::new(text, "file");
        let line = |path: &str| lines.line(&path.split('.').collect::<Vec<_>>());
        assert_eq!(["a", "b.c", "b.d", "b.d.e", "g.h", "g.j"].map(line), [1, 3, 4, 4, 6, 6].map(Some));
        assert_eq!(["x", "a.b", "b.c.d"].map(line), [None; 3]);
        assert_eq!(Lines::new("a: [", "file").line(&["a"]), None);
    }
}
