//! What a job's outputs depend on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What a job's outputs depend on: versions, parameters and the content of inputs. The program's bytes are not part of it: a
/// stage whose results change raises its declared version, so that rebuilding a program reruns nothing.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct CacheKey {
    /// The versions of the stage's results and of the tables that it writes.
    #[serde(default)]
    pub version: String,
    /// The values of each flag that decides.
    pub arguments: BTreeMap<String, Vec<String>>,
    /// The hash of each file that is read.
    pub inputs: BTreeMap<String, String>,
}

/// Longest value that a difference shows, in characters.
const LONGEST: usize = 40;
/// Most differences that a reason shows.
const MOST: usize = 3;

impl CacheKey {
    /// A hash of the whole key.
    pub fn fingerprint(&self) -> String {
        let text = serde_json::to_vec(self).expect("plain data serialises");
        blake3::hash(&text).to_hex().to_string()
    }

    /// What differs from an earlier key, as a reason to run again: simple values first; none if nothing does.
    pub fn difference(&self, earlier: &Self) -> Option<String> {
        let mut all = self.differences(earlier);
        all.sort_by_key(|difference| difference.chars().count());
        let rest = all.len().saturating_sub(MOST);
        all.truncate(MOST);
        let shown = all.join("; ");
        match (all.is_empty(), rest) {
            (true, _) => None,
            (false, 0) => Some(shown),
            (false, rest) => Some(format!("{shown}; and {rest} more")),
        }
    }

    /// Every difference from an earlier key.
    pub fn differences(&self, earlier: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        let flags: BTreeSet<_> = earlier.arguments.keys().chain(self.arguments.keys()).collect();
        for flag in flags {
            let text = |key: &Self| key.arguments.get(flag).map_or("unset".to_owned(), |values| values.join("; "));
            let (was, now) = (text(earlier), text(self));
            if was != now {
                differences.push(format!("parameter {flag} changed: {} → {}", shortened(&was), shortened(&now)));
            }
        }
        let paths: BTreeSet<_> = earlier.inputs.keys().chain(self.inputs.keys()).collect();
        for path in paths {
            match (earlier.inputs.get(path), self.inputs.get(path)) {
                (None, _) => differences.push(format!("input {path} is new")),
                (_, None) => differences.push(format!("input {path} is no longer read")),
                (was, now) if was != now => differences.push(format!("input {path} changed")),
                _ => {}
            }
        }
        if earlier.version != self.version {
            differences.push(match earlier.version.as_str() {
                "" => "the version of the results is not recorded".to_owned(),
                was => format!("version changed: {was} → {}", self.version),
            });
        }
        differences
    }
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(LONGEST) {
        None => value.to_owned(),
        Some((end, _)) => format!("{}…", &value[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(iterations: &str, corpus: &str) -> CacheKey {
        CacheKey {
            version: "results 1".to_owned(),
            arguments: [("max_iters".to_owned(), vec![iterations.to_owned()])].into(),
            inputs: [("corpus".to_owned(), corpus.to_owned())].into(),
        }
    }

    #[test]
    fn a_difference_names_what_changed() {
        let earlier = key("2000", "a");
        assert_eq!(earlier.difference(&earlier), None);
        assert_eq!(key("500", "a").difference(&earlier).unwrap(), "parameter max_iters changed: 2000 → 500");
        assert_eq!(key("2000", "b").difference(&earlier).unwrap(), "input corpus changed");
        let mut newer = key("2000", "a");
        newer.version = "results 2".to_owned();
        assert_eq!(newer.difference(&earlier).unwrap(), "version changed: results 1 → results 2");
        newer.inputs.clear();
        newer.arguments.clear();
        assert!(newer.difference(&earlier).unwrap().contains("input corpus is no longer read"));
        assert!(newer.difference(&earlier).unwrap().contains("parameter max_iters changed: 2000 → unset"));
    }

    #[test]
    fn simple_values_come_before_long_ones_which_are_shortened() {
        let mut earlier = key("2000", "a");
        let mut newer = key("500", "a");
        earlier.arguments.insert("checkpoint_steps".to_owned(), vec!["0,50".to_owned()]);
        newer.arguments.insert("checkpoint_steps".to_owned(), vec!["1,".repeat(100)]);
        let said = newer.difference(&earlier).unwrap();
        assert!(said.starts_with("parameter max_iters changed: 2000 → 500; parameter checkpoint_steps"), "{said}");
        assert!(said.ends_with("1,…"), "{said}");
    }

    #[test]
    fn a_key_of_before_versions_were_recorded_is_read() {
        let text = r#"{"program": "p", "arguments": {}, "inputs": {}}"#;
        let earlier: CacheKey = serde_json::from_str(text).unwrap();
        assert!(key("1", "a").difference(&earlier).unwrap().contains("version of the results is not recorded"));
    }
}
