//! The jobs of a study, from the stages' declarations.

use std::path::PathBuf;
use std::sync::Arc;

use declarations::prep::{self, Prep};
use declarations::{
    Fault, Stage, StageName, StudyStage, StudyVisitor, TrainingPlan, TrainingSections, TrainingStage, TrainingVisitor,
};
use schemas::{Key, Partition};

use crate::plan::{Continuation, Job};
use crate::study::{Dataset, Run, Study};

/// Every job of the study, in topological order, without dependencies, which are linked later.
///
/// # Errors
/// An invalid parameter.
pub(crate) fn jobs(study: &Study) -> Result<Vec<Job>, Fault> {
    let mut jobs = Vec::new();
    for dataset in &study.datasets {
        jobs.push(prep(study, dataset)?);
    }
    for dataset in &study.datasets {
        for &seed in &dataset.seeds {
            for run in &dataset.runs {
                let partition = Partition::dataset(&dataset.name).run(&run.name).seed(seed);
                let mut training = Training { plan: run.plan(dataset), partition, jobs: Vec::new(), invalid: None };
                run.sections.visit(&run.stages, &mut training);
                jobs.append(&mut training.jobs);
                if let Some(invalid) = training.invalid {
                    return Err(invalid);
                }
            }
        }
    }
    jobs.extend(of_study(study, study.specification())?);
    Ok(jobs)
}

/// The jobs that read the whole study, or what there is of it.
///
/// # Errors
/// An invalid parameter.
pub(crate) fn of_study(study: &Study, specification: declarations::Study) -> Result<Vec<Job>, Fault> {
    let mut of_study = OfStudy { study: specification, jobs: Vec::new(), invalid: None };
    study.sections.visit(&mut of_study);
    of_study.invalid.map_or(Ok(of_study.jobs), Err)
}

fn prep(study: &Study, dataset: &Dataset) -> Result<Job, Fault> {
    let parameters = Prep::parameters(&study.sections.prep, dataset.config.clone());
    let mut job = job::<Prep>(Partition::dataset(&dataset.name), &parameters, None)?;
    let prep::Parameters { source, .. } = parameters;
    job.external_inputs = source.into_iter().map(PathBuf::from).collect();
    // The text's content decides, wherever it lies.
    job.arguments.iter_mut().filter(|flag| flag.name == "source").for_each(|flag| flag.decides = false);
    job.config.remove("source");
    Ok(job)
}

/// Collects the jobs of one training.
struct Training<'study> {
    plan: TrainingPlan<'study>,
    partition: Partition,
    jobs: Vec<Job>,
    invalid: Option<Fault>,
}

impl TrainingVisitor for Training<'_> {
    fn visit<S: TrainingStage>(&mut self, section: &S::Section) {
        let parameters = S::parameters(section, S::derive(&self.plan));
        match job::<S>(self.partition.clone(), &parameters, Some(self.plan.sections)) {
            Ok(job) => self.jobs.push(job),
            Err(fault) => self.invalid = self.invalid.take().or(Some(fault)),
        }
    }
}

/// Collects the jobs that read the whole study.
struct OfStudy {
    study: declarations::Study,
    jobs: Vec<Job>,
    invalid: Option<Fault>,
}

impl StudyVisitor for OfStudy {
    fn visit<S: StudyStage>(&mut self, section: &S::Section) {
        let parameters = S::parameters(section, S::derive(&self.study));
        match job::<S>(Partition::study(), &parameters, None) {
            Ok(job) => self.jobs.push(job),
            Err(fault) => self.invalid = self.invalid.take().or(Some(fault)),
        }
    }
}

/// A job without its dependencies.
fn job<S: Stage>(
    partition: Partition,
    parameters: &S::Parameters,
    training: Option<&TrainingSections>,
) -> Result<Job, Fault> {
    S::validate(parameters).map_err(|invalid| {
        let keys = [Key::Run, Key::Dataset].into_iter().filter_map(|key| partition.value(key));
        let of = keys.collect::<Vec<_>>().join(" of ");
        let of = if of.is_empty() { of } else { format!(" ({of})") };
        Fault::parameter(format!("`{}.{}` {}{of}", S::NAME, invalid.parameter, invalid.message))
    })?;
    let keys = [Key::Dataset, Key::Run, Key::Seed].into_iter().filter_map(|key| {
        let value = partition.value(key)?;
        Some(declarations::Flag { name: key.to_string(), value, decides: true })
    });
    Ok(Job {
        stage: StageName::of::<S>(),
        dataset: partition.value(Key::Dataset),
        run: partition.value(Key::Run),
        seed: partition.value(Key::Seed).and_then(|seed| seed.parse().ok()),
        arguments: keys.chain(S::flags(parameters)).collect(),
        inputs: S::inputs(parameters, &partition),
        external_inputs: Vec::new(),
        outputs: S::outputs(parameters, &partition),
        results: S::outputs(parameters, &partition),
        tables: S::tables(),
        results_version: S::VERSION,
        config: S::config(parameters),
        continuation: Continuation(Arc::new(|_| false)),
        owned_folders: S::folders(parameters, &partition),
        dependencies: Vec::new(),
        duplicates: Vec::new(),
        cost: S::cost(parameters, training),
    })
}

impl Run {
    /// The run as the stages' declarations see it.
    pub(crate) fn plan<'study>(&'study self, dataset: &'study Dataset) -> TrainingPlan<'study> {
        TrainingPlan { sections: &self.sections, stages: &self.stages, steps: &dataset.steps }
    }
}
