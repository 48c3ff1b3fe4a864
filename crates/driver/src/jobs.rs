//! The jobs of a study, from the stages' declarations.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use declarations::import::Import;
use declarations::prep::Prep;
use declarations::{
    Facts, Fault, Invalid, Stage, StageName, StudyStage, StudyVisitor, TextFacts, TrainingPlan, TrainingSections,
    TrainingStage, TrainingVisitor,
};
use schemas::{Key, Partition};
use serde_json::{Map, Value};

use crate::origin::Origin;
use crate::own;
use crate::plan::{Declared, External, Job};
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
        for (position, &seed) in dataset.seeds.iter().enumerate() {
            // Runs that take the trainings of others come after those.
            let mut runs: Vec<&Run> = dataset.runs.iter().collect();
            runs.sort_by_key(|run| !std::ptr::eq(*run, run.trained_as(dataset, position)));
            for run in runs {
                let partition = Partition::dataset(&dataset.name).run(&run.name).seed(seed);
                let trained_as = run.trained_as(dataset, position);
                let (first, rest): (Vec<_>, Vec<_>) = run.stages.iter().partition(|stage| stage.trains());
                for (run, stages) in [(trained_as, first), (run, rest)] {
                    let partition = partition.clone();
                    let (plan, origin) = (run.plan(dataset), &study.origin);
                    let mut training = Training { plan, partition, origin, jobs: Vec::new(), invalid: None };
                    run.sections.visit(&stages, &mut training);
                    jobs.append(&mut training.jobs);
                    if let Some(invalid) = training.invalid {
                        return Err(invalid);
                    }
                }
            }
        }
    }
    jobs.extend(of_study(study, study.specification())?);
    own::jobs(study, &mut jobs)?;
    Ok(jobs)
}

/// The jobs that read the whole study, or what there is of it.
///
/// # Errors
/// An invalid parameter.
pub(crate) fn of_study(study: &Study, specification: declarations::Study) -> Result<Vec<Job>, Fault> {
    let mut of_study = OfStudy { study: specification, origin: &study.origin, jobs: Vec::new(), invalid: None };
    study.sections.visit(&mut of_study);
    of_study.invalid.map_or(Ok(of_study.jobs), Err)
}

fn prep(study: &Study, dataset: &Dataset) -> Result<Job, Fault> {
    let parameters = Prep::parameters(&study.sections.prep, dataset.config.clone());
    let mut job = job::<Prep>(Partition::dataset(&dataset.name), &parameters, None, &study.origin)?;
    let files = [("source", &parameters.source), ("vocabulary", &parameters.vocabulary)];
    for (role, path) in files.into_iter().filter_map(|(role, path)| Some((role, path.as_ref()?))) {
        let key = format!("datasets.{}.{role}", dataset.name);
        job.external_inputs.push(External { role: role.to_owned(), path: PathBuf::from(path), key });
        // The content decides, wherever it lies.
        job.arguments.iter_mut().filter(|flag| flag.name == role).for_each(|flag| flag.decides = false);
    }
    let settings = serde_json::to_value(parameters.settings(&dataset.name));
    job.config = settings.ok().and_then(|settings| settings.as_object().cloned()).unwrap_or_default();
    Ok(job)
}

/// Collects the jobs of one training.
struct Training<'study> {
    plan: TrainingPlan<'study>,
    partition: Partition,
    origin: &'study Origin,
    jobs: Vec<Job>,
    invalid: Option<Fault>,
}

impl TrainingVisitor for Training<'_> {
    fn visit<S: TrainingStage>(&mut self, section: &S::Section) {
        let parameters = S::parameters(section, S::derive(&self.plan));
        match job::<S>(self.partition.clone(), &parameters, Some(self.plan.sections), self.origin) {
            Ok(mut job) => {
                if job.stage == StageName::Import {
                    job.external_inputs = self.imported(job.seed.unwrap_or_default());
                }
                self.jobs.push(job);
            }
            Err(fault) => self.invalid = self.invalid.take().or(Some(fault)),
        }
    }
}

impl Training<'_> {
    /// The files of the checkpoints that are imported.
    fn imported(&self, seed: u64) -> Vec<External> {
        let section = &self.plan.sections.import;
        let files = Import::parameters(section, Import::derive(&self.plan)).files(seed);
        let external = |(step, path)| External {
            role: format!("checkpoint of step {step}"),
            path,
            key: "import.checkpoints".to_owned(),
        };
        files.into_iter().map(external).collect()
    }
}

/// Collects the jobs that read the whole study.
struct OfStudy<'study> {
    study: declarations::Study,
    origin: &'study Origin,
    jobs: Vec<Job>,
    invalid: Option<Fault>,
}

impl StudyVisitor for OfStudy<'_> {
    fn visit<S: StudyStage>(&mut self, section: &S::Section) {
        let parameters = S::parameters(section, S::derive(&self.study));
        match job::<S>(Partition::study(), &parameters, None, self.origin) {
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
    origin: &Origin,
) -> Result<Job, Fault> {
    let block_size = training.map(|training| training.train.block_size);
    let (own, place) = (parameters.clone(), partition.clone());
    let declared = Of::<S> { parameters: own, origin: origin.clone(), partition: place, block_size };
    S::validate(parameters).map_err(|invalid| declared.refuse(&invalid))?;
    let keys = [Key::Dataset, Key::Run, Key::Seed].into_iter().filter_map(|key| {
        let value = partition.value(key)?;
        Some(declarations::Flag { name: key.to_string(), value, decides: true })
    });
    Ok(Job {
        stage: StageName::of::<S>().into(),
        dataset: partition.value(Key::Dataset),
        run: partition.value(Key::Run),
        seed: partition.value(Key::Seed).and_then(|seed| seed.parse().ok()),
        arguments: keys.chain(S::flags(parameters)).collect(),
        inputs: S::inputs(parameters, &partition),
        external_inputs: Vec::new(),
        outputs: S::outputs(parameters, &partition),
        results: S::results(parameters, &partition),
        tables: S::tables(),
        results_version: S::VERSION,
        config: S::config(parameters),
        declared: Arc::new(declared),
        owned_folders: S::folders(parameters, &partition),
        dependencies: Vec::new(),
        duplicates: Vec::new(),
        cost: S::cost(parameters, training),
    })
}

/// A job's parameters with their declaration, and where they were written.
struct Of<S: Stage> {
    parameters: S::Parameters,
    origin: Origin,
    partition: Partition,
    /// Of the training's model.
    block_size: Option<u32>,
}

impl<S: Stage> Of<S> {
    fn refuse(&self, invalid: &Invalid) -> Fault {
        let (run, dataset) = (self.partition.value(Key::Run), self.partition.value(Key::Dataset));
        self.origin.refuse(S::NAME, invalid, run.as_deref(), dataset.as_deref())
    }
}

impl<S: Stage> Declared for Of<S> {
    fn continues(&self, earlier: &Map<String, Value>) -> bool {
        S::continues(&self.parameters, earlier)
    }

    fn check_text(&self, text: &TextFacts) -> Result<(), Fault> {
        S::check_text(&self.parameters, text).map_err(|invalid| self.refuse(&invalid))
    }

    fn warnings(&self, text: Option<&TextFacts>) -> Vec<String> {
        let (run, dataset) = (self.partition.value(Key::Run), self.partition.value(Key::Dataset));
        let found = S::warnings(&self.parameters, &Facts { block_size: self.block_size, text });
        let warn = |warning| self.origin.warn(S::NAME, warning, run.as_deref(), dataset.as_deref());
        found.iter().map(warn).collect()
    }
}

impl<S: Stage> fmt::Debug for Of<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parameters.fmt(formatter)
    }
}

impl Run {
    /// The run as which the seed at a position is trained: itself, unless it takes the trainings of another.
    fn trained_as<'study>(&'study self, dataset: &'study Dataset, position: usize) -> &'study Run {
        let taken = self.trained_as.as_ref().filter(|other| position >= other.after_seeds);
        taken.and_then(|other| dataset.runs.iter().find(|run| run.name == other.run)).unwrap_or(self)
    }

    /// The run as the stages' declarations see it.
    pub(crate) fn plan<'study>(&'study self, dataset: &'study Dataset) -> TrainingPlan<'study> {
        TrainingPlan { sections: &self.sections, stages: &self.stages, steps: &dataset.steps }
    }
}
