//! The whole study, as the stages that read all of it receive it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Steps, check_seed, file_name};

/// The datasets and runs of a study. Which tables there are follows from it, so that nothing is globbed and a missing table
/// is an error.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// The datasets.
    pub datasets: Vec<StudyDataset>,
    /// The runs of every dataset.
    pub runs: Vec<StudyRun>,
    /// What was to be part of it and is not, since it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// A dataset of the study.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StudyDataset {
    /// Its name.
    pub name: String,
    /// The seeds of every run.
    pub seeds: Vec<u64>,
    /// The snapshot steps; the last is the end of the training.
    pub steps: Steps,
    /// Steps between evaluations.
    pub eval_interval: u32,
}

/// A run of the study.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StudyRun {
    /// Its name.
    pub name: String,
    /// Its label in figures and tables.
    pub label: String,
    /// Its parts beyond training and its final samples.
    pub parts: Vec<Part>,
}

/// A part of a run beyond training and its final samples.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Losses over whole splits: `split_losses`.
    Evaluation,
    /// Attention tracked during training: `tracking`.
    Tracking,
    /// Snapshots: `attention`, `windows`, `head_outputs`, `head_metrics`, `layer_metrics`, `attended_characters`, `baselines`.
    Snapshots,
    /// Cross-layer similarity: `layer_similarity`.
    Similarity,
    /// Generation at every snapshot step, scored, with attention tracked: `sample_scores`, `sample_attention`,
    /// `generated_attention`, `sample_layers`.
    Quality,
}

impl StudyRun {
    /// Whether the run has a part.
    pub fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

impl Study {
    /// The last run that has a part.
    pub fn last_with(&self, part: Part) -> Option<&StudyRun> {
        self.runs.iter().rev().find(|run| run.has(part))
    }

    /// The run whose generated text is shown: the last that has scores, else the last.
    pub fn run_of_samples(&self) -> Option<&StudyRun> {
        self.last_with(Part::Quality).or(self.runs.last())
    }

    /// The run whose correlations are shown: the last that has scores, else the last that has snapshots.
    pub fn run_of_correlations(&self) -> Option<&StudyRun> {
        self.last_with(Part::Quality).or(self.last_with(Part::Snapshots))
    }

    /// The runs whose final weights show whether tracking changes what is learned: the first without it and the first with it.
    pub fn without_and_with_tracking(&self) -> Option<[&StudyRun; 2]> {
        let first = |tracking| self.runs.iter().find(|run| run.has(Part::Tracking) == tracking);
        Some([first(false)?, first(true)?])
    }

    /// Refuses an inconsistent study.
    ///
    /// # Errors
    /// What is wrong, to follow the parameter's name in a message.
    pub fn check(&self) -> Result<(), String> {
        fn repeated<T: Clone + Ord>(items: impl Iterator<Item = T>) -> Option<T> {
            let mut seen = BTreeSet::new();
            items.into_iter().find(|item| !seen.insert(item.clone()))
        }
        if self.datasets.is_empty() || self.runs.is_empty() {
            return Err("must have at least one dataset and one run".to_owned());
        }
        for name in self.datasets.iter().map(|dataset| &dataset.name).chain(self.runs.iter().map(|run| &run.name)) {
            file_name(name).map_err(|rule| format!("has the name `{name}`: {rule}"))?;
        }
        if let Some(name) = repeated(self.datasets.iter().map(|dataset| &dataset.name)) {
            return Err(format!("has the dataset {name} twice"));
        }
        if let Some(name) = repeated(self.runs.iter().map(|run| &run.name)) {
            return Err(format!("has the run {name} twice"));
        }
        for StudyDataset { name, seeds, steps, eval_interval } in &self.datasets {
            if let Some(seed) = repeated(seeds.iter()) {
                return Err(format!("has the seed {seed} of {name} twice: one training is one replicate"));
            }
            for &seed in seeds {
                check_seed(seed).map_err(|rule| format!("has a seed of {name} that {rule}"))?;
            }
            if seeds.is_empty() {
                return Err(format!("has no seeds of {name}"));
            }
            if steps.last().is_none() {
                return Err(format!("has no steps of {name}: the last one ends the training"));
            }
            if *eval_interval == 0 {
                return Err(format!("has an eval_interval of 0 of {name}: it must be at least 1"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn study() -> Study {
        Study {
            datasets: vec![StudyDataset {
                name: "text8".to_owned(),
                seeds: vec![1, crate::LARGEST_SEED],
                steps: "0,50,100-2000/100".parse().expect("steps"),
                eval_interval: 100,
            }],
            runs: vec![StudyRun {
                name: "run_3".to_owned(),
                label: "a  label=b, parts=quality \"quoted\" é".to_owned(),
                parts: vec![Part::Tracking, Part::Quality],
            }],
            missing: vec![],
        }
    }

    #[test]
    fn any_label_survives_the_command_line() {
        let text = study().argument().expect("an argument");
        assert_eq!(Study::parse(&text), Ok(study()), "{text}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |change: &dyn Fn(&mut Study)| {
            let mut study = study();
            change(&mut study);
            Study::parse(&study.argument().expect("an argument")).expect_err("it contradicts itself")
        };
        assert!(wrong(&|study| study.datasets[0].seeds = vec![1, 1]).contains("seed 1 of text8 twice"));
        assert!(wrong(&|study| study.datasets[0].seeds = vec![u64::MAX]).contains("seed of text8 that is 1844"));
        assert!(wrong(&|study| study.runs[0].name = "nan".to_owned()).contains("missing value"));
        assert!(wrong(&|study| study.runs.push(study.runs[0].clone())).contains("run run_3 twice"));
        assert!(wrong(&|study| study.runs.clear()).contains("at least one"));
        assert!(wrong(&|study| study.datasets[0].eval_interval = 0).contains("eval_interval of 0"));
        assert!(wrong(&|study| study.datasets[0].steps = Steps::default()).contains("no steps"));
        assert!(wrong(&|study| study.runs[0].name = "../x".to_owned()).contains("names a folder"));
        assert!(Study::parse("{}").expect_err("nothing").contains("missing field"));
        assert!(Study::parse("text8 seeds=1").expect_err("another grammar").contains("no study"));
        assert!(Study::parse(r#"{"datasets":[],"runs":[],"x":1}"#).expect_err("a key").contains("`x`"));
    }
}
