//! The stages of the pipeline, in the order in which they run.

use serde::Deserialize;

use crate::stages::*;
use crate::{Part, Per, Schedule, Stage, Steps, Study};

/// A stage with a job per training.
pub trait TrainingStage: Stage {
    /// The values that follow from the rest of the training.
    fn derive(plan: &TrainingPlan<'_>) -> Self::Derived;
}

/// A training as `pipeline.yaml` states it, after all changes.
#[derive(Clone, Copy, Debug)]
pub struct TrainingPlan<'plan> {
    /// Every stage's section.
    pub sections: &'plan TrainingSections,
    /// The stages that the run goes through.
    pub stages: &'plan [StageName],
    /// The snapshot steps, of which the last ends the training.
    pub steps: &'plan Steps,
}

impl TrainingPlan<'_> {
    /// The run's parts beyond training and its final samples.
    pub fn parts(&self) -> Vec<Part> {
        let TrainingSections { train, metrics, generate, .. } = self.sections;
        let snapshots = self.stages.contains(&StageName::Snapshot);
        let parts = [
            (Part::Evaluation, self.stages.contains(&StageName::Evaluate)),
            (Part::Tracking, train.tracking),
            (Part::Snapshots, snapshots),
            (Part::Similarity, snapshots && metrics.layer_similarity),
            (Part::Quality, generate.score && generate.track && self.generates_at_snapshots()),
        ];
        parts.into_iter().filter(|(_, has)| *has).map(|(part, _)| part).collect()
    }

    /// Whether the run has a part.
    pub fn has(&self, part: Part) -> bool {
        self.parts().contains(&part)
    }

    /// Whether every snapshot's checkpoint generates text.
    pub fn generates_at_snapshots(&self) -> bool {
        self.sections.generate.steps == Schedule::Snapshots
    }

    /// Whether every snapshot's checkpoint is evaluated over whole splits.
    fn evaluates_at_snapshots(&self) -> bool {
        self.stages.contains(&StageName::Evaluate) && self.sections.evaluate.steps == Schedule::Snapshots
    }

    /// Whether the training keeps the checkpoints of all snapshots.
    pub fn keeps_snapshots(&self) -> bool {
        self.has(Part::Snapshots) || self.generates_at_snapshots() || self.evaluates_at_snapshots()
    }

    /// The steps of a stage's checkpoints.
    pub fn checkpoints(&self, schedule: Schedule) -> Steps {
        match schedule {
            Schedule::Last => [self.sections.train.max_iters].into_iter().collect(),
            Schedule::Snapshots => self.steps.clone(),
        }
    }
}

/// Handles the stages of a training, one after the other.
pub trait TrainingVisitor {
    /// Handles a stage, given its section.
    fn visit<S: TrainingStage>(&mut self, section: &S::Section);
}

/// A stage whose one job reads the whole study.
pub trait StudyStage: Stage {
    /// The values that follow from the rest of the study.
    fn derive(study: &Study) -> Self::Derived;
}

/// Handles the stages of the whole study, one after the other.
pub trait StudyVisitor {
    /// Handles a stage, given its section.
    fn visit<S: StudyStage>(&mut self, section: &S::Section);
}

/// Lists the stages: those with a job per training apart from those before and after.
macro_rules! pipeline {
    (
        ($d:tt)
        before { $($before:ident: $before_stage:ident,)+ }
        training { $($training:ident: $training_stage:ident,)+ }
        after { $($after:ident: $after_stage:ident,)+ }
    ) => {
        /// A stage of the pipeline.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
        #[serde(rename_all = "snake_case")]
        pub enum StageName {
            $(#[doc = concat!("[`", stringify!($before), "`](crate::", stringify!($before), ").")] $before_stage,)+
            $(#[doc = concat!("[`", stringify!($training), "`](crate::", stringify!($training), ").")] $training_stage,)+
            $(#[doc = concat!("[`", stringify!($after), "`](crate::", stringify!($after), ").")] $after_stage,)+
        }

        impl StageName {
            /// Every stage, in the order in which they run.
            pub const ALL: &'static [Self] =
                &[$(Self::$before_stage,)+ $(Self::$training_stage,)+ $(Self::$after_stage,)+];

            /// The stage's name, which is also its program's.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$before_stage => $before::$before_stage::NAME,)+
                    $(Self::$training_stage => $training::$training_stage::NAME,)+
                    $(Self::$after_stage => $after::$after_stage::NAME,)+
                }
            }

            /// What one of its jobs covers.
            pub fn per(self) -> Per {
                match self {
                    $(Self::$before_stage => $before::$before_stage::PER,)+
                    $(Self::$training_stage => $training::$training_stage::PER,)+
                    $(Self::$after_stage => $after::$after_stage::PER,)+
                }
            }
        }

        /// The sections of the stages with a job per training.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct TrainingSections {
            $(#[doc = concat!("Of `", stringify!($training), "`.")] pub $training: $training::Section,)+
        }

        impl TrainingSections {
            /// Visits each stage's section, in the order in which the stages run.
            pub fn visit(&self, stages: &[StageName], visitor: &mut impl TrainingVisitor) {
                $(if stages.contains(&StageName::$training_stage) {
                    visitor.visit::<$training::$training_stage>(&self.$training);
                })+
            }
        }

        /// The sections of the stages without a job per training.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct StudySections {
            $(#[doc = concat!("Of `", stringify!($before), "`.")] pub $before: $before::Section,)+
            $(#[doc = concat!("Of `", stringify!($after), "`.")] pub $after: $after::Section,)+
        }

        /// Changes of the sections of the stages without a job per training.
        pub trait StudyChanges {
            $(#[doc = concat!("Of `", stringify!($before), "`.")] fn $before(&self) -> &$before::Changes;)+
            $(#[doc = concat!("Of `", stringify!($after), "`.")] fn $after(&self) -> &$after::Changes;)+
        }

        impl StudySections {
            /// Applies the changes.
            pub fn change(&mut self, changes: &impl StudyChanges) {
                $(self.$before.change(changes.$before());)+
                $(self.$after.change(changes.$after());)+
            }

            /// Visits the section of each stage that reads the whole study, in the order in which the stages run.
            pub fn visit(&self, visitor: &mut impl StudyVisitor) {
                $(visitor.visit::<$after::$after_stage>(&self.$after);)+
            }
        }

        /// Changes of the sections of the stages with a job per training.
        pub trait TrainingChanges {
            $(#[doc = concat!("Of `", stringify!($training), "`.")] fn $training(&self) -> &$training::Changes;)+
        }

        impl TrainingSections {
            /// Applies the changes.
            pub fn change(&mut self, changes: &impl TrainingChanges) {
                $(self.$training.change(changes.$training());)+
            }
        }

        /// Adds a field for each stage to a struct that `pipeline.yaml` is read into: `sections`, the sections of all stages;
        /// `changes`, the changes of all; `training changes`, those of the stages with a job per training.
        #[macro_export]
        macro_rules! with_stages {
            (sections $d(#[$d meta:meta])* pub struct $d name:ident { $d($d fields:tt)* }) => {
                $d(#[$d meta])*
                pub struct $d name {
                    $d($d fields)*
                    $(#[doc = concat!("`", stringify!($before), "`'s.")] #[serde(default)] pub $before: $d crate::$before::Section,)+
                    $(#[doc = concat!("`", stringify!($training), "`'s.")] #[serde(default)] pub $training: $d crate::$training::Section,)+
                    $(#[doc = concat!("`", stringify!($after), "`'s.")] #[serde(default)] pub $after: $d crate::$after::Section,)+
                }

                impl $d name {
                    /// The sections of the stages with a job per training.
                    pub fn training_sections(&self) -> $d crate::TrainingSections {
                        $d crate::TrainingSections { $($training: self.$training.clone(),)+ }
                    }

                    /// The sections of the other stages.
                    pub fn study_sections(&self) -> $d crate::StudySections {
                        $d crate::StudySections {
                            $($before: self.$before.clone(),)+
                            $($after: self.$after.clone(),)+
                        }
                    }
                }
            };
            (changes $d(#[$d meta:meta])* pub struct $d name:ident { $d($d fields:tt)* }) => {
                $d(#[$d meta])*
                pub struct $d name {
                    $d($d fields)*
                    $(#[doc = concat!("Of `", stringify!($before), "`.")] #[serde(default)] pub $before: $d crate::$before::Changes,)+
                    $(#[doc = concat!("Of `", stringify!($training), "`.")] #[serde(default)] pub $training: $d crate::$training::Changes,)+
                    $(#[doc = concat!("Of `", stringify!($after), "`.")] #[serde(default)] pub $after: $d crate::$after::Changes,)+
                }
                $d crate::with_stages!(implement $d name);

                impl $d crate::StudyChanges for $d name {
                    $(fn $before(&self) -> &$d crate::$before::Changes { &self.$before })+
                    $(fn $after(&self) -> &$d crate::$after::Changes { &self.$after })+
                }
            };
            (training changes $d(#[$d meta:meta])* pub struct $d name:ident { $d($d fields:tt)* }) => {
                $d(#[$d meta])*
                pub struct $d name {
                    $d($d fields)*
                    $(#[doc = concat!("Of `", stringify!($training), "`.")] #[serde(default)] pub $training: $d crate::$training::Changes,)+
                }
                $d crate::with_stages!(implement $d name);
            };
            (implement $d name:ident) => {
                impl $d crate::TrainingChanges for $d name {
                    $(fn $training(&self) -> &$d crate::$training::Changes { &self.$training })+
                }
            };
        }
    };
}

pipeline! {
    ($)
    before { prep: Prep, }
    training {
        train: Train, import: Import, evaluate: Evaluate, snapshot: Snapshot, metrics: Metrics, generate: Generate,
    }
    after { correlate: Correlate, plot: Plot, }
}

impl StageName {
    /// The name of a stage.
    pub fn of<S: Stage>() -> Self {
        let named = Self::ALL.iter().find(|name| name.word() == S::NAME);
        *named.expect("every stage is listed in `pipeline!`")
    }

    /// Whether it makes the checkpoints of a training.
    pub fn trains(self) -> bool {
        matches!(self, Self::Train | Self::Import)
    }

    /// Whether its one job reads the whole study.
    pub fn whole_study(self) -> bool {
        self.per() == Per::Study
    }
}

impl std::fmt::Display for StageName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.word())
    }
}
