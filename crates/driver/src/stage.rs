//! A stage as the driver sees it: one of the pipeline, or one of the user's own.

use std::cmp::Ordering;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use declarations::{Fault, Per, StageName};

use crate::near::nearest;
use crate::own::OwnStage;

/// A stage of a study. Stages are ordered as they run: those of the pipeline, then the user's own.
#[derive(Clone, Debug)]
pub enum Stage {
    /// A stage of the pipeline, which is a program beside the driver.
    BuiltIn(StageName),
    /// A stage that `pipeline.yaml` declares, which is any command.
    Own(Arc<OwnStage>),
}

impl Stage {
    /// Every stage of the pipeline, and those of the user.
    pub fn all(own: &[Arc<OwnStage>]) -> Vec<Self> {
        let built_in = StageName::ALL.iter().copied().map(Self::BuiltIn);
        built_in.chain(own.iter().cloned().map(Self::Own)).collect()
    }

    /// The stage of a name that was written at `place`.
    ///
    /// # Errors
    /// There is none of this name; says which is near.
    pub fn named(name: &str, own: &[Arc<OwnStage>], place: &str) -> Result<Self, Fault> {
        let all = Self::all(own);
        let found = all.iter().find(|stage| stage.word() == name);
        found.cloned().ok_or_else(|| {
            let words: Vec<&str> = all.iter().map(Self::word).collect();
            let near = nearest(name, words.iter().copied());
            Fault::parameter(format!("{place}: there is no stage `{name}`{near}; there are {}", words.join(", ")))
        })
    }

    /// Its name.
    pub fn word(&self) -> &str {
        match self {
            Self::BuiltIn(name) => name.word(),
            Self::Own(own) => &own.name,
        }
    }

    /// What one of its jobs covers.
    pub fn per(&self) -> Per {
        match self {
            Self::BuiltIn(name) => name.per(),
            Self::Own(own) => own.per,
        }
    }

    /// Whether its one job reads the whole study.
    pub fn whole_study(&self) -> bool {
        self.per() == Per::Study
    }

    /// What one of its jobs may lack where only a part of the study is selected; none if a job covers no more than one training.
    pub(crate) fn needs_whole(&self) -> Option<&'static str> {
        match self.per() {
            Per::Study => Some("study"),
            Per::Dataset if self.own().is_some() => Some("dataset"),
            Per::Dataset | Per::Training => None,
        }
    }

    /// Whether it makes the checkpoints of a training.
    pub fn trains(&self) -> bool {
        matches!(self, Self::BuiltIn(name) if name.trains())
    }

    /// The user's own stage, if it is one.
    pub fn own(&self) -> Option<&OwnStage> {
        match self {
            Self::BuiltIn(_) => None,
            Self::Own(own) => Some(own),
        }
    }

    /// The words of its command before the flags, given the folder of the pipeline's programs.
    pub(crate) fn command(&self, programs: &str) -> Vec<String> {
        match self {
            Self::BuiltIn(name) => vec![Path::new(programs).join(name.word()).display().to_string()],
            Self::Own(own) => own.command.clone(),
        }
    }

    fn order(&self) -> (Option<usize>, Option<StageName>) {
        match self {
            Self::BuiltIn(name) => (None, Some(*name)),
            Self::Own(own) => (Some(own.position), None),
        }
    }
}

impl From<StageName> for Stage {
    fn from(name: StageName) -> Self {
        Self::BuiltIn(name)
    }
}

impl PartialEq for Stage {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Stage {}

impl PartialEq<StageName> for Stage {
    fn eq(&self, other: &StageName) -> bool {
        matches!(self, Self::BuiltIn(name) if name == other)
    }
}

impl Ord for Stage {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Stage {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}
