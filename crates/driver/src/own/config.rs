//! The section `own_stages` of `pipeline.yaml`, and the changes that profiles, datasets, runs and `--set` make to it.

use std::fmt;

use declarations::{Fault, Per};
use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, Visitor};

use crate::experiment::{Experiment, Profile};
use crate::near::unknown_key;

/// A stage of the user's own, as `pipeline.yaml` states it.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnConfig {
    /// What it does, in one line.
    #[serde(default)]
    pub about: String,
    /// The program and its first words; the flags follow.
    pub command: Vec<String>,
    /// What one job covers.
    pub per: Per,
    /// Raised when the same inputs and parameters give other results.
    #[serde(default = "first_version")]
    pub version: u32,
    /// The tables that it reads.
    #[serde(default)]
    pub reads: Vec<String>,
    /// The tables that it writes and, with an extension, other files.
    pub writes: Vec<String>,
    /// Its parameters, each a flag, with their defaults.
    #[serde(default)]
    pub parameters: IndexMap<String, Scalar>,
    /// The runs that it reads; those that write all that it reads by default.
    #[serde(default)]
    pub runs: Option<Vec<String>>,
    /// The memory that a job needs: `500M`, `4G`.
    #[serde(default)]
    pub memory: Option<String>,
}

fn first_version() -> u32 {
    1
}

/// Changes of a stage of the user's own.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OwnChanges {
    /// Of its parameters.
    pub parameters: IndexMap<String, Scalar>,
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// `null`: the flag is left out.
    None,
    /// `true` or `false`.
    Switch(bool),
    /// A whole number.
    Whole(i64),
    /// Any number.
    Number(f64),
    /// Text.
    Text(String),
}

impl Scalar {
    /// The word after the flag; none if the flag is left out.
    pub(crate) fn argument(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Switch(value) => Some(value.to_string()),
            Self::Whole(value) => Some(value.to_string()),
            Self::Number(value) => Some(value.to_string()),
            Self::Text(value) => Some(value.clone()),
        }
    }

    /// Whether another value can take the place of this default.
    fn allows(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, _) | (_, Self::None) | (Self::Number(_), Self::Whole(_)) => true,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::None => "null",
            Self::Switch(_) => "true or false",
            Self::Whole(_) => "a whole number",
            Self::Number(_) => "a number",
            Self::Text(_) => "text, in quotes if it looks like something else",
        }
    }
}

impl<'text> Deserialize<'text> for Scalar {
    fn deserialize<D: Deserializer<'text>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'text> Visitor<'text> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("text, a number, true, false or null")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Switch(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Whole(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(value).map_or(Scalar::Number(value as f64), Scalar::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::None)
    }

    fn visit_none<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::None)
    }

    fn visit_some<D: Deserializer<'text>>(self, deserializer: D) -> Result<Scalar, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

/// Changes of some stages of the user's own, by name.
pub(crate) type Changes = IndexMap<String, OwnChanges>;

/// The parameters of every stage of the user's own, for a dataset and a run or for the whole study.
#[derive(Clone, Debug, Default)]
pub struct Parameters(IndexMap<String, IndexMap<String, Scalar>>);

impl Parameters {
    /// The defaults after some changes, the later ones over the earlier ones.
    pub(crate) fn new<'changes>(
        declared: &IndexMap<String, OwnConfig>,
        changes: impl IntoIterator<Item = &'changes Changes>,
    ) -> Self {
        let defaults = declared.iter().map(|(name, config)| (name.clone(), config.parameters.clone()));
        let mut parameters: IndexMap<_, _> = defaults.collect();
        for (stage, change) in changes.into_iter().flatten() {
            let of: &mut IndexMap<String, Scalar> = parameters.entry(stage.clone()).or_default();
            of.extend(change.parameters.clone());
        }
        Self(parameters)
    }

    /// Those of one stage, in the order of its declaration.
    pub(crate) fn of(&self, stage: &str) -> impl Iterator<Item = (&String, &Scalar)> {
        self.0.get(stage).into_iter().flatten()
    }
}

/// Refuses changes of what there is not, in all profiles, runs and `--set`.
///
/// # Errors
/// The first such change, with its place.
pub(crate) fn check_changes(experiment: &Experiment, texts: &[String], settings: &[Profile]) -> Result<(), Fault> {
    let check = |changes: &Changes, above: &[&str], lowest: Per| {
        let at = |below: &[&str]| experiment.lines.place(&[above, &["own_stages"], below].concat());
        check(experiment, changes, &at, lowest)
    };
    for (name, profile) in &experiment.profiles {
        check(&profile.own_stages, &["profiles", name], Per::Study)?;
        for (dataset, own) in &profile.per_dataset {
            check(&own.own_stages, &["profiles", name, "per_dataset", dataset], Per::Dataset)?;
        }
    }
    for (name, run) in &experiment.runs {
        check(&run.own_stages, &["runs", name], Per::Training)?;
    }
    for (text, setting) in texts.iter().zip(settings) {
        let at = |_: &[&str]| format!("--set {text}");
        self::check(experiment, &setting.own_stages, &at, Per::Study)?;
        for own in setting.per_dataset.values() {
            self::check(experiment, &own.own_stages, &at, Per::Dataset)?;
        }
    }
    Ok(())
}

/// Checks changes at a place, for a stage with a job per `lowest` or for less.
fn check(experiment: &Experiment, changes: &Changes, at: &dyn Fn(&[&str]) -> String, lowest: Per) -> Result<(), Fault> {
    for (stage, change) in changes {
        let wrong = |below: &[&str], said: String| Fault::parameter(format!("{}: {said}", at(below)));
        let declared = &experiment.own_stages;
        let known = declared.get(stage).ok_or_else(|| wrong(&[stage], unknown_key(stage, declared)))?;
        let reaches = match known.per {
            Per::Training => true,
            Per::Dataset => lowest != Per::Training,
            Per::Study => lowest == Per::Study,
        };
        if !reaches {
            let one = if known.per == Per::Study { "one job for the whole study" } else { "one job per dataset" };
            return Err(wrong(&[stage], format!("`{stage}` has {one}, whose parameters cannot depend on this")));
        }
        for (name, value) in &change.parameters {
            let below = [stage.as_str(), "parameters", name.as_str()];
            let default = known.parameters.get(name);
            let default = default.ok_or_else(|| wrong(&below, unknown_key(name, &known.parameters)))?;
            if !default.allows(value) {
                let found = value.argument().unwrap_or_default();
                return Err(wrong(&below, format!("must be {} as the default is, found `{found}`", default.kind())));
            }
        }
    }
    Ok(())
}
