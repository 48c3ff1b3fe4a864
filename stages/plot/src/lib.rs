//! The `plot` stage: the study's tables → figures (PNG and SVG) and one self-contained page.
//!
//! It computes no statistic beyond means, standard deviations and standard errors over heads and seeds.
//! [`inputs`] reads the tables; [`figures`] lays them out as marks on a [`canvas`], with common axes ([`axis`]) and a common
//! [`style`]; [`render`] makes files of them; [`report`] makes the page.

pub mod axis;
pub mod canvas;
pub mod figures;
pub mod inputs;
pub mod measures;
pub mod number;
pub mod render;
pub mod report;
pub mod series;
pub mod style;
pub mod text;

use clap::Parser;
use cli::{Fault, Place, Study, Terminal, Verbosity};
use schemas::Artifacts;

use crate::inputs::Inputs;

/// Draw the study's figures and write its report
///
/// Reads the tables of the whole study and writes, for every dataset, each figure as PNG and SVG to
/// `plots/<figure>_<dataset>` and one self-contained page to `report/index.html`, all below the folder of the tables. Which
/// figures there are follows from the parts of the runs; a table that these promise and that is missing is an error.
#[derive(Clone, Debug, Parser)]
#[command(
    version,
    after_help = "Example:\n  plot --artifacts artifacts/laptop \\\n    \
                  --dataset 'shakespeare_char seeds=1337,1338,1339 steps=0,50,100-2000/100 eval_interval=100' \\\n    \
                  --run 'run_0 parts= label=Baseline' \\\n    \
                  --run 'run_3 parts=tracking,snapshots,similarity,quality label=Generation quality'"
)]
pub struct Arguments {
    /// Where the tables lie, and where figures and report go.
    #[command(flatten)]
    pub place: Place,
    /// What was studied.
    #[command(flatten)]
    pub study: Study,
    /// How much is said.
    #[command(flatten)]
    pub verbosity: Verbosity,
}

/// Reads the tables, renders every figure and writes figures and page.
///
/// # Errors
/// If a table is missing, damaged or of another version, or a file cannot be written.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<(), Fault> {
    let root = &arguments.place.artifacts;
    let inputs = Inputs::read(&Artifacts::new(root), &arguments.study)?;
    let figures: Vec<_> = inputs.datasets.iter().map(figures::all).collect();
    let progress = terminal.progress("plot", figures.iter().map(Vec::len).sum::<usize>() as u64);
    let mut rendered = Vec::new();
    for (dataset, figures) in inputs.datasets.iter().zip(figures) {
        let mut of_dataset = Vec::new();
        for figure in figures {
            progress.note(figure.name);
            let pictures = render::pictures(&figure).map_err(|error| Fault::defect(error.to_string()))?;
            let name = format!("{}_{}", figure.name, dataset.study.name);
            atomic_file::write(root.join(format!("plots/{name}.png")), &pictures.png)?;
            atomic_file::write(root.join(format!("plots/{name}.svg")), pictures.svg.as_bytes())?;
            of_dataset.push((figure, pictures));
            progress.advance(1);
        }
        rendered.push(of_dataset);
    }
    let page = root.join("report/index.html");
    atomic_file::write(&page, report::page(&inputs, &rendered).as_bytes())?;
    drop(progress);
    terminal.say(format!("figures: {}, report: {}", root.join("plots").display(), page.display()));
    Ok(())
}
