//! The stage `correlate`.

use crate::{Cost, Invalid, Part, Study, StudyStage, stage};

stage! {
    /// Correlate attention with learning and generated text, and test the study's claims
    ///
    /// Reads the whole study and writes correlations (a file per dataset and run that has snapshots or quality), onsets and
    /// head_matches (a file per dataset and run that has snapshots), findings (a file per dataset) and results (one file).
    Correlate "correlate" results 3 per Study
    example "correlate --study '{\"datasets\":[{\"name\":\"text8\",\"seeds\":[1,2],\"steps\":\"0,50,100\",\"eval_interval\":50}],\n      \
             \"runs\":[{\"name\":\"run_0\",\"label\":\"Baseline\",\"parts\":[]}]}'"
    derived {
        /// The study's datasets and runs, as JSON; parts are evaluation, tracking, snapshots, similarity and quality. `run_pipeline.sh
        /// --dry-run` prints it
        study: Study,
    }
    parameters "Statistics" {
        /// Random permutations behind each p-value; where there are no more in all, the test is exact
        permutations: u32 [1..=10_000_000] = 10_000,
    }
    check |parameters| parameters.study.check().map_err(|message| Invalid::new("study", message));
    reads {
        TrainingLog,
        Evaluations,
        SplitLosses.when(|_, member| member.has(Part::Evaluation)),
        Timings.stages(&["train", "generate"]),
        HeadMetrics.when(|_, member| member.has(Part::Snapshots)),
        LayerMetrics.when(|_, member| member.has(Part::Snapshots)),
        Baselines.when(|_, member| member.has(Part::Snapshots)),
        LayerSimilarity.when(|_, member| member.has(Part::Similarity)),
        SampleScores.when(|_, member| member.has(Part::Quality)),
        SampleAttention.when(|_, member| member.has(Part::Quality)),
        SampleLayers.when(|_, member| member.has(Part::Quality)),
        // Final weights, with and without tracking.
        Checkpoints
            .when(|_, member| (0..2).any(|which| member.is_of(|study| Some(study.without_and_with_tracking()?[which]))))
            .at(|_, member| member.steps().last().into_iter().collect()),
    }
    writes {
        Correlations.when(|_, member| member.has(Part::Snapshots) || member.has(Part::Quality)),
        Onsets.when(|_, member| member.has(Part::Snapshots)),
        HeadMatches.when(|_, member| member.has(Part::Snapshots)),
        Findings,
        Results,
    }
    cost |_, _| Cost::small();
}

impl StudyStage for Correlate {
    fn derive(study: &Study) -> Derived {
        Derived { study: study.clone() }
    }
}
