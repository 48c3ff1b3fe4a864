//! What the last run in a folder was told to change, so that a plain call does not quietly go back.

use std::path::Path;

use schemas::Artifacts;
use serde::{Deserialize, Serialize};

use crate::plan::quote;

const FILE: &str = ".settings.json";

/// The profile and the `--set` of a run.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Settings {
    /// The profile.
    pub profile: String,
    /// The changes, in the order of the command line.
    pub settings: Vec<String>,
}

impl Settings {
    /// Those of the last run in a folder, if one is recorded.
    pub(crate) fn read(root: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(root.join(FILE)).ok()?).ok()
    }

    /// Records them as those of the last run.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, root: &Path) -> Result<(), schemas::Error> {
        let text = serde_json::to_vec_pretty(self).expect("plain data serialises");
        Artifacts::new(root).write_file(FILE, &text)
    }

    /// A note on how they differ from those of the last run; none if they do not.
    pub(crate) fn difference(&self, last: &Self) -> Option<String> {
        (self != last).then(|| format!("note: the last run here had {}; this one has {}", last.flags(), self.flags()))
    }

    fn flags(&self) -> String {
        let settings = self.settings.iter().map(|setting| format!(" --set {}", quote(setting)));
        format!("--profile {}{}", quote(&self.profile), settings.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_remembered_and_compared() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Settings::read(folder.path()), None);
        let last = Settings { profile: "smoke".into(), settings: vec!["train.max_iters=500".into()] };
        last.write(folder.path()).unwrap();
        assert_eq!(Settings::read(folder.path()).as_ref(), Some(&last));
        assert_eq!(last.difference(&last), None);
        let plain = Settings { profile: "smoke".into(), settings: vec![] };
        assert_eq!(
            plain.difference(&last).unwrap(),
            "note: the last run here had --profile smoke --set train.max_iters=500; this one has --profile smoke"
        );
    }
}
