//! The stage `plot`.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{
    Cost, FigureName, FigureWidth, Invalid, Member, Part, Pictures, Steps, Study, StudyStage, Theme, Value, stage,
};

stage! {
    /// Draw the study's figures and write its report
    ///
    /// Reads the tables of the whole study and writes, for every dataset, each figure as PNG, SVG and PDF, the numbers that it
    /// shows as CSV and its caption as text to plots/FIGURE_DATASET, and one self-contained page to report/index.html, all below
    /// the folder of the tables. Which figures there are follows from the parts of the runs. The page always has all of them,
    /// as wide as a page: the parameters change the files of the figures.
    Plot "plot" results 3 per Study
    example "plot --study '{\"datasets\":[{\"name\":\"text8\",\"seeds\":[1,2],\"steps\":\"0,50,100\",\"eval_interval\":50}],\n      \
             \"runs\":[{\"name\":\"run_0\",\"label\":\"Baseline\",\"parts\":[]}]}'"
    derived {
        /// The study's datasets and runs, as JSON; parts are evaluation, tracking, snapshots, similarity and quality. `run_pipeline.sh
        /// --dry-run` prints it
        study: Study,
    }
    parameters "Figures" {
        /// Figures to write, separated by commas, as --list prints them; left out, all
        only: Option<FigureNames> = None,
        /// Snapshots that attention_maps and layer_similarity show; left out, the first, the last and some between
        steps: Option<Steps> = None,
        /// How wide figures are; text keeps its size, 7 points or more on paper
        width: FigureWidth = FigureWidth::Page,
        /// Their colours
        theme: Theme = Theme::Light,
        /// Whether title and subtitle are drawn; captions have both
        titles: bool = true,
    }
    internal {
        /// Print the figures, a line for each, and do nothing else
        list: Option<bool>,
        /// Write only a page, report/so_far.html, of the tables that are there, which says what is missing; while a study runs
        so_far: Option<bool>,
    }
    check check;
    reads {
        Results,
        Findings,
        Vocabulary,
        TextNotes,
        TrainingLog,
        Evaluations,
        SplitLosses.when(|_, member| member.has(Part::Evaluation)),
        HeadMatches.when(|_, member| member.has(Part::Snapshots)),
        Attention.when(|_, member| member.has(Part::Snapshots)).at(|_, member| member.steps()),
        Windows.when(|_, member| member.has(Part::Snapshots)),
        HeadMetrics.when(|_, member| member.has(Part::Snapshots)),
        HeadOutputs.when(|_, member| member.has(Part::Snapshots)),
        LayerMetrics.when(|_, member| member.has(Part::Snapshots)),
        AttendedCharacters.when(|_, member| member.has(Part::Snapshots)),
        Baselines.when(|_, member| member.has(Part::Snapshots) && member.is_first_seed()),
        Onsets.when(|_, member| member.has(Part::Snapshots)),
        LayerSimilarity.when(|_, member| explored(member, Part::Similarity)),
        SampleScores.when(|_, member| explored(member, Part::Quality)),
        SampleAttention.when(|_, member| explored(member, Part::Quality)),
        Samples.when(|_, member| member.is_of(Study::run_of_samples) && member.is_first_seed()),
        GeneratedAttention.when(|_, member| {
            member.has(Part::Quality) && member.is_of(Study::run_of_samples) && member.is_first_seed()
        }),
        Correlations.when(|_, member| member.has(Part::Snapshots) || member.is_of(Study::run_of_correlations)),
    }
    writes {}
    pictures pictures;
    cost |_, _| Cost::small();
}

/// The endings of a figure's files: pictures, the numbers that it shows, its caption.
const ENDINGS: [&str; 5] = ["png", "svg", "pdf", "csv", "txt"];

impl FigureName {
    /// The part that a run of the study must have for it to be drawn.
    pub fn needs(self) -> Option<Part> {
        match self {
            Self::ValLoss | Self::TrainLoss | Self::Findings => None,
            Self::LayerSimilarity => Some(Part::Similarity),
            Self::GenerationQuality | Self::QualityAttention => Some(Part::Quality),
            Self::AttentionMetrics
            | Self::AttentionMaps
            | Self::HeadHeatMaps
            | Self::HeadSpecialisation
            | Self::HeadTrajectories
            | Self::SpanDistribution
            | Self::Onsets
            | Self::Correlations => Some(Part::Snapshots),
        }
    }

    /// What it shows, in one line.
    pub fn about(self) -> &'static str {
        Self::WORDS.iter().find(|(word, _)| *word == self.word()).map_or("", |(_, about)| about.trim())
    }
}

impl Parameters {
    /// Whether a figure's files are written, as far as the study has what it needs.
    pub fn draws(&self, figure: FigureName) -> bool {
        let asked = self.only.as_ref().is_none_or(|only| only.0.contains(&figure));
        asked && figure.needs().is_none_or(|part| self.study.last_with(part).is_some())
    }

    /// The snapshots of `attention_maps`: of `steps`, those that the dataset has; without any, its first, middle and last.
    pub fn map_steps(&self, snapshots: &Steps) -> Steps {
        let chosen: Steps = self.steps.iter().flat_map(Steps::iter).filter(|step| snapshots.contains(*step)).collect();
        if chosen.is_empty() { snapshots.first_middle_last() } else { chosen }
    }
}

/// Figures by name, each once.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct FigureNames(pub Vec<FigureName>);

impl FromStr for FigureNames {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut names = Vec::new();
        for word in text.split(',').map(str::trim) {
            let name = FigureName::parse(word).map_err(|words| format!("has no figure `{word}`: each {words}"))?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(Self(names))
    }
}

impl TryFrom<String> for FigureNames {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<FigureNames> for String {
    fn from(names: FigureNames) -> Self {
        names.0.iter().map(|name| name.word()).collect::<Vec<_>>().join(",")
    }
}

impl Value for FigureNames {
    const PLACEHOLDER: &'static str = "NAMES";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn argument(&self) -> Option<String> {
        Some(self.clone().into())
    }
}

/// Refuses a study that contradicts itself, and steps that none of its datasets has. A list of figures needs no study.
fn check(parameters: &Parameters) -> Result<(), Invalid> {
    if parameters.list == Some(true) {
        return Ok(());
    }
    parameters.study.check().map_err(|message| Invalid::new("study", message))?;
    let has = |step: &u32| parameters.study.datasets.iter().any(|dataset| dataset.steps.contains(*step));
    match parameters.steps.iter().flat_map(Steps::iter).find(|step| !has(step)) {
        Some(step) => Err(Invalid::new("steps", format!("has step {step}, of which no dataset has a snapshot"))),
        None => Ok(()),
    }
}

/// Whether the page shows the run's tables of a part beside its attention, or the figures those of the last run that has it.
fn explored(member: &Member<'_>, part: Part) -> bool {
    member.has(part) && (member.has(Part::Snapshots) || member.is_of(|study| study.last_with(part)))
}

fn pictures(parameters: &Parameters) -> Pictures {
    let mut files = Vec::new();
    for dataset in &parameters.study.datasets {
        for figure in FigureName::ALL.iter().filter(|figure| parameters.draws(**figure)) {
            files.extend(ENDINGS.map(|ending| PathBuf::from(format!("plots/{figure}_{}.{ending}", dataset.name))));
        }
    }
    files.push("report/index.html".into());
    Pictures { files, folders: vec!["plots".into(), "report".into()] }
}

impl StudyStage for Plot {
    fn derive(study: &Study) -> Derived {
        Derived { study: study.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_named_once_and_unknown_ones_refused() {
        let names: FigureNames = "findings, val_loss,findings".parse().expect("names");
        assert_eq!(names.argument().as_deref(), Some("findings,val_loss"));
        let refused = FigureNames::parse("findings,loss").expect_err("no such figure");
        assert!(refused.contains("no figure `loss`") && refused.contains("val_loss, train_loss"), "{refused}");
        assert!(FigureName::ALL.iter().all(|figure| figure.about().len() > 20));
    }
}
