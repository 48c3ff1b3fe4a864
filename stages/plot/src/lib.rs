//! The `plot` stage: from the study's tables to figures, as PNG and SVG, and to one self-contained page.
//!
//! It computes no statistic but mean and standard error over seeds for lines and bands: it selects, labels and draws.
//! [`inputs`] reads; [`figures`] turns tables into marks ([`canvas`]), on axes built in one place ([`axis`]) and in one
//! look ([`style`]); [`render`] turns marks into pictures; [`report`] puts them on the page.

pub mod axis;
pub mod canvas;
pub mod figures;
pub mod html;
pub mod inputs;
pub mod number;
pub mod render;
pub mod report;
pub mod series;
pub mod style;
pub mod write;

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

/// Reads the tables, draws every figure and writes pictures and report.
pub fn run(arguments: &Arguments, terminal: &Terminal) -> Result<(), Fault> {
    let root = &arguments.place.artifacts;
    let inputs = Inputs::read(&Artifacts::new(root), &arguments.study)?;
    let figures: Vec<_> = inputs.datasets.iter().map(figures::all).collect();
    let progress = terminal.progress("plot", figures.iter().map(Vec::len).sum::<usize>() as u64);
    let mut drawn = Vec::new();
    for (dataset, figures) in inputs.datasets.iter().zip(figures) {
        let mut pictures = Vec::new();
        for figure in figures {
            progress.note(figure.name);
            let drawn = render::pictures(&figure).map_err(|failure| Fault::defect(failure.to_string()))?;
            let name = format!("{}_{}", figure.name, dataset.study.name);
            write::whole(&root.join(format!("plots/{name}.png")), &drawn.png)?;
            write::whole(&root.join(format!("plots/{name}.svg")), drawn.svg.as_bytes())?;
            pictures.push((figure, drawn));
            progress.advance(1);
        }
        drawn.push(pictures);
    }
    let page = root.join("report/index.html");
    write::whole(&page, report::page(&inputs, &drawn).as_bytes())?;
    drop(progress);
    terminal.say(format!("figures: {}, report: {}", root.join("plots").display(), page.display()));
    Ok(())
}
