//! The stage `plot`.

use std::path::PathBuf;

use crate::{Cost, Invalid, Part, Pictures, Study, StudyStage, stage};

stage! {
    /// Draw the study's figures and write its report
    ///
    /// Reads the tables of the whole study and writes, for every dataset, each figure as PNG and SVG to
    /// plots/FIGURE_DATASET and one self-contained page to report/index.html, all below the folder of the tables. Which
    /// figures there are follows from the parts of the runs.
    Plot "plot" results 2 per Study
    example "plot --study '{\"datasets\":[{\"name\":\"text8\",\"seeds\":[1,2],\"steps\":\"0,50,100\",\"eval_interval\":50}],\n      \
             \"runs\":[{\"name\":\"run_0\",\"label\":\"Baseline\",\"parts\":[]}]}'"
    derived {
        /// The study's datasets and runs, as JSON; parts are evaluation, tracking, snapshots, similarity and quality. `run_pipeline.sh
        /// --dry-run` prints it
        study: Study,
    }
    check |parameters| parameters.study.check().map_err(|message| Invalid::new("study", message));
    reads {
        Results,
        Findings,
        Vocabulary,
        TrainingLog,
        Evaluations,
        HeadMetrics.when(|_, member| member.is_of(|study| study.last_with(Part::Snapshots))),
        Baselines.when(|_, member| member.is_of(|study| study.last_with(Part::Snapshots)) && member.is_first_seed()),
        Onsets.when(|_, member| member.is_of(|study| study.last_with(Part::Snapshots))),
        HeadMatches.when(|_, member| member.is_of(|study| study.last_with(Part::Snapshots))),
        Windows.when(|_, member| member.is_of(|study| study.last_with(Part::Snapshots)) && member.is_first_seed()),
        Attention
            .when(|_, member| member.is_of(|study| study.last_with(Part::Snapshots)) && member.is_first_seed())
            .at(|_, member| member.steps().first_middle_last()),
        LayerSimilarity.when(|_, member| member.is_of(|study| study.last_with(Part::Similarity))),
        SampleScores.when(|_, member| member.is_of(|study| study.last_with(Part::Quality))),
        Samples.when(|_, member| member.is_of(Study::run_of_samples) && member.is_first_seed()),
        Correlations.when(|_, member| member.is_of(Study::run_of_correlations)),
    }
    writes {}
    pictures pictures;
    cost |_, _| Cost::small();
}

/// A figure, and the part that a run of the study must have for it to be drawn.
const FIGURES: [(&str, Option<Part>); 10] = [
    ("val_loss", None),
    ("train_loss", None),
    ("attention_metrics", Some(Part::Snapshots)),
    ("attention_maps", Some(Part::Snapshots)),
    ("head_specialisation", Some(Part::Snapshots)),
    ("head_trajectories", Some(Part::Snapshots)),
    ("onsets", Some(Part::Snapshots)),
    ("layer_similarity", Some(Part::Similarity)),
    ("generation_quality", Some(Part::Quality)),
    ("findings", None),
];

fn pictures(parameters: &Parameters) -> Pictures {
    let study = &parameters.study;
    let mut files = Vec::new();
    for dataset in &study.datasets {
        let drawn = FIGURES.iter().filter(|(_, part)| part.is_none_or(|part| study.last_with(part).is_some()));
        for (figure, _) in drawn {
            files.extend(
                ["png", "svg"].map(|format| PathBuf::from(format!("plots/{figure}_{}.{format}", dataset.name))),
            );
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
