//! The whole study, as the stages that look at all of it are told it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use clap::Args;
use serde::Serialize;

use crate::Steps;

/// The datasets and runs of a study. Which table exists for which training follows from it, so that nothing is searched
/// for and nothing that is missing goes unnoticed.
#[derive(Args, Clone, Debug, Default, Serialize)]
pub struct Study {
    /// A dataset that was learned, as `shakespeare_char seeds=1337,1338 steps=0,50,100-2000/100 eval_interval=100`:
    /// its seeds, its snapshot steps (the last one ends the training) and how often it was evaluated
    #[arg(long = "dataset", value_name = "SPECIFICATION", required = true, help_heading = "Study")]
    pub datasets: Vec<StudyDataset>,

    /// A run of every dataset, as `run_3 parts=tracking,snapshots,similarity,quality label=Generation quality`
    #[arg(long = "run", value_name = "SPECIFICATION", required = true, help_heading = "Study")]
    pub runs: Vec<StudyRun>,
}

/// A dataset of the study.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudyDataset {
    /// Its name.
    pub name: String,
    /// The seeds of every run.
    pub seeds: Vec<u64>,
    /// The snapshot steps; the last is the end of the training.
    pub steps: Steps,
    /// Every how many steps the training was evaluated.
    pub eval_interval: u32,
}

/// A run of the study.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudyRun {
    /// Its name.
    pub name: String,
    /// Its name for people.
    pub label: String,
    /// What it has beyond training and its final samples.
    pub parts: Vec<Part>,
}

/// What a run can have beyond training and its final samples.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Attention tracked while training: `tracking`.
    Tracking,
    /// Snapshots: `attention`, `windows`, `head_outputs`, `head_metrics`, `layer_metrics`, `baselines`.
    Snapshots,
    /// Cross-layer similarity: `layer_similarity`.
    Similarity,
    /// Generation at every snapshot step, scored, attention tracked while sampling: `sample_scores`, `sample_attention`, `sample_layers`.
    Quality,
}

impl Part {
    const ALL: [(Part, &str); 4] = [
        (Part::Tracking, "tracking"),
        (Part::Snapshots, "snapshots"),
        (Part::Similarity, "similarity"),
        (Part::Quality, "quality"),
    ];
}

impl StudyRun {
    /// Whether the run has a part.
    pub fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

impl fmt::Display for StudyDataset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seeds: Vec<_> = self.seeds.iter().map(u64::to_string).collect();
        let (name, steps, eval_interval) = (&self.name, &self.steps, self.eval_interval);
        write!(formatter, "{name} seeds={} steps={steps} eval_interval={eval_interval}", seeds.join(","))
    }
}

impl fmt::Display for StudyRun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |part: &Part| Part::ALL.iter().find(|(known, _)| known == part).map_or("", |(_, name)| name);
        let parts: Vec<_> = self.parts.iter().map(named).collect();
        write!(formatter, "{} parts={} label={}", self.name, parts.join(","), self.label)
    }
}

impl FromStr for StudyDataset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, mut values) = specification(text, &["seeds", "steps", "eval_interval"])?;
        let seeds = values.remove("seeds").unwrap_or_default();
        let seeds: Result<Vec<u64>, _> = seeds.split(',').map(str::parse).collect();
        let eval_interval = values.remove("eval_interval").unwrap_or_default();
        Ok(Self {
            name,
            seeds: seeds.map_err(|_| format!("`{text}`: seeds are numbers separated by commas"))?,
            steps: values.remove("steps").unwrap_or_default().parse()?,
            eval_interval: eval_interval.parse().map_err(|_| format!("`{text}`: eval_interval is a number"))?,
        })
    }
}

impl FromStr for StudyRun {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, mut values) = specification(text, &["parts", "label"])?;
        let known = |part: &str| {
            let found = Part::ALL.iter().find(|(_, name)| *name == part).map(|(part, _)| *part);
            found.ok_or_else(|| {
                format!("`{part}` in `{text}` is no part: they are tracking, snapshots, similarity, quality")
            })
        };
        let parts = values.remove("parts").unwrap_or_default();
        let parts: Result<Vec<_>, _> = parts.split(',').filter(|part| !part.is_empty()).map(known).collect();
        let label = values.remove("label").unwrap_or_else(|| name.clone());
        Ok(Self { label, parts: parts?, name })
    }
}

/// Splits `name key=value key=value with spaces` into its name and its values; every key must be there.
fn specification(text: &str, keys: &[&str]) -> Result<(String, BTreeMap<String, String>), String> {
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let name = words.next().ok_or("the specification is empty")?.to_owned();
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    let mut last: Option<String> = None;
    for word in words {
        match (word.split_once('='), &last) {
            (Some((key, value)), _) if keys.contains(&key) => {
                values.insert(key.to_owned(), value.to_owned());
                last = Some(key.to_owned());
            }
            (_, Some(key)) => {
                let value = values.entry(key.clone()).or_default();
                value.push(' ');
                value.push_str(word);
            }
            _ => return Err(format!("`{word}` in `{text}` is not one of {}=…", keys.join("=…, "))),
        }
    }
    match keys.iter().find(|key| !values.contains_key(**key)) {
        Some(key) => Err(format!("`{text}` lacks {key}=…")),
        None => Ok((name, values)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifications_are_their_own_inverse() {
        let text = "shakespeare_char seeds=1337,1338 steps=0,50,100-2000/100 eval_interval=100";
        assert_eq!(text.parse::<StudyDataset>().expect("a dataset").to_string(), text);
        let text = "run_3 parts=tracking,quality label=Generation quality";
        let run: StudyRun = text.parse().expect("a run");
        assert_eq!((run.to_string().as_str(), run.has(Part::Quality), run.has(Part::Similarity)), (text, true, false));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!("text8 seeds=1".parse::<StudyDataset>().unwrap_err().contains("steps"));
        assert!("run_1 parts=magic label=x".parse::<StudyRun>().unwrap_err().contains("magic"));
    }
}
