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

use cli::Terminal;
use declarations::plot::Plot;
use declarations::{Fault, Job};

use crate::inputs::Inputs;

/// Reads the tables, draws every figure and writes pictures and report.
///
/// # Errors
/// An input fault if a table is missing or damaged, or if a picture cannot be written.
pub fn run(job: &Job<Plot>, terminal: &Terminal) -> Result<(), Fault> {
    let root = job.outputs.root();
    let inputs = Inputs::read(&job.inputs, &job.parameters.study)?;
    let figures: Vec<_> = inputs.datasets.iter().map(figures::all).collect();
    let progress = terminal.progress("plot", figures.iter().map(Vec::len).sum::<usize>() as u64);
    let unwritable = |failure: write::Failure| Fault::input(failure.to_string());
    let mut drawn = Vec::new();
    for (dataset, figures) in inputs.datasets.iter().zip(figures) {
        let mut pictures = Vec::new();
        for figure in figures {
            progress.note(figure.name);
            let drawn = render::pictures(&figure).map_err(|failure| Fault::bug(failure.to_string()))?;
            let name = format!("{}_{}", figure.name, dataset.study.name);
            write::whole(&root.join(format!("plots/{name}.png")), &drawn.png).map_err(unwritable)?;
            write::whole(&root.join(format!("plots/{name}.svg")), drawn.svg.as_bytes()).map_err(unwritable)?;
            pictures.push((figure, drawn));
            progress.advance(1);
        }
        drawn.push(pictures);
    }
    let page = root.join("report/index.html");
    write::whole(&page, report::page(&inputs, &drawn).as_bytes()).map_err(unwritable)?;
    drop(progress);
    terminal.say(format!("figures: {}, report: {}", root.join("plots").display(), page.display()));
    Ok(())
}
