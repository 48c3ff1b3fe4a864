//! A stage without work, for `scripts/reliability.sh soak`: under the name of a stage (`argv[0]`) it writes that stage's outputs,
//! tables without rows but with the footers that the stage would write, and fails as often as it is asked to.
//!
//! `FAKE_PERCENT` is how many of 100 jobs fail, in several ways; `FAKE_ROUND` decides which, so that a job that failed in one
//! round may succeed in the next.

use std::path::{Component, Path};
use std::process::{ExitCode, abort};

use cli::Terminal;
use declarations::correlate::Correlate;
use declarations::evaluate::Evaluate;
use declarations::generate::Generate;
use declarations::import::Import;
use declarations::metrics::Metrics;
use declarations::plot::Plot;
use declarations::prep::Prep;
use declarations::snapshot::Snapshot;
use declarations::train::Train;
use declarations::{Fault, Job, Per, Stage};
use schemas::enums::Split;
use schemas::tables::*;
use schemas::{Artifacts, Error, Partition, Provenance, Source, Table};

fn main() -> ExitCode {
    let name = std::env::args().next().unwrap_or_default();
    match Path::new(&name).file_name().and_then(|name| name.to_str()) {
        Some("prep") => cli::run(fake::<Prep>),
        Some("train") => cli::run(fake::<Train>),
        Some("import") => cli::run(fake::<Import>),
        Some("evaluate") => cli::run(fake::<Evaluate>),
        Some("snapshot") => cli::run(fake::<Snapshot>),
        Some("metrics") => cli::run(fake::<Metrics>),
        Some("generate") => cli::run(fake::<Generate>),
        Some("correlate") => cli::run(fake::<Correlate>),
        Some("plot") => cli::run(fake::<Plot>),
        _ => {
            eprintln!("error: {name} is not the name of a stage: link this program under one");
            ExitCode::from(2)
        }
    }
}

fn fake<S: Stage>(job: &Job<S>, terminal: &Terminal) -> Result<(), Fault> {
    let progress = terminal.progress("fake", 2);
    progress.advance(1);
    let root = artifacts_flag();
    let declared = S::outputs(&job.parameters, &job.partition);
    // All else depends on the text.
    let failure = failure().filter(|_| S::PER != Per::Dataset);
    match failure {
        Some(0) => return Err(Fault::input("no luck: try again")),
        Some(1) => return Err(Fault::bug("no luck")),
        Some(2) => abort(),
        // Says that it is done without having written anything.
        Some(3) => return Ok(()),
        _ => {}
    }
    let sources = S::inputs(&job.parameters, &job.partition).into_iter().map(|path| source(&root, &path));
    let sources = sources.collect::<Result<Vec<_>, Fault>>()?;
    let provenance = job.provenance().from_inputs(&sources);
    for (number, path) in declared.iter().enumerate() {
        // Half-way through its files.
        if failure.is_some() && number > 0 {
            return Err(Fault::input("no luck after the first file: try again"));
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => table(&root, path, &provenance)?,
            _ => atomic_file::write(Path::new(&root).join(path), b"picture")
                .map_err(|error| Fault::input(error.to_string()))?,
        }
    }
    progress.advance(1);
    Ok(())
}

fn artifacts_flag() -> String {
    let mut words = std::env::args().skip_while(|word| word != "--artifacts").skip(1);
    words.next().unwrap_or_default()
}

/// How the job fails, if it does.
fn failure() -> Option<u8> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number("FAKE_ROUND").to_le_bytes());
    for word in std::env::args().take_while(|word| word != "--threads") {
        hasher.update(word.as_bytes());
    }
    let hash = hasher.finalize();
    let [low, high, way, ..] = *hash.as_bytes();
    let chance = u32::from(u16::from_le_bytes([low, high])) * 100 / (1 << 16);
    (chance < number("FAKE_PERCENT")).then_some(way % 5)
}

fn source(root: &str, path: &Path) -> Result<Source, Fault> {
    let file = Path::new(root).join(path);
    let bytes =
        std::fs::read(&file).map_err(|error| Fault::input(format!("cannot read {}: {error}", file.display())))?;
    Ok(Source { path: path.display().to_string(), blake3: blake3::hash(&bytes).to_hex().to_string() })
}

/// The partition that a path states.
fn partition(path: &Path) -> Partition {
    let words = path.components().filter_map(|component| match component {
        Component::Normal(word) => word.to_str()?.split_once('='),
        _ => None,
    });
    words.fold(Partition::study(), |partition, (key, value)| match key {
        "dataset" => Partition::dataset(value),
        "run" => partition.run(value),
        "seed" => partition.seed(value.parse().unwrap_or_default()),
        "step" => partition.step(value.parse().unwrap_or_default()),
        "stage" => partition.stage(value),
        "split" => partition.split(match value {
            "train" => Split::Train,
            "val" => Split::Val,
            _ => Split::Test,
        }),
        _ => partition,
    })
}

macro_rules! every_table {
    ($($row:ident),+ $(,)?) => {
        /// Writes a table without rows, but for the text.
        fn table(root: &str, path: &Path, provenance: &Provenance) -> Result<(), Fault> {
            let name = path.iter().next().and_then(|name| name.to_str()).unwrap_or_default();
            if name == Corpus::NAME {
                // Long enough for a training, which the driver checks.
                let rows = vec![Corpus { token: 0 }; 100];
                return Ok(Artifacts::new(root).write(&partition(path), provenance, &rows)?);
            }
            $(if name == <$row as Table>::NAME {
                return Ok(empty::<$row>(root, path, provenance)?);
            })+
            Err(Fault::bug(format!("{name} is no table")))
        }
    };
}

every_table! {
    Vocabulary, TextNotes, SemanticSpace, TrainingLog, Evaluations, SplitLosses, Timings, Tracking, Checkpoints, Optimizer,
    Attention, Windows, HeadOutputs, HeadMetrics, LayerMetrics, LayerSimilarity, Baselines, AttendedCharacters, Samples,
    SampleAttention, GeneratedAttention, SampleLayers, SampleScores, Correlations, Onsets, HeadMatches, Findings, Results,
}

fn empty<T: Table>(root: &str, path: &Path, provenance: &Provenance) -> Result<(), Error> {
    Artifacts::new(root).write::<T>(&partition(path), provenance, &[])
}
