//! The `plot` stage: the study's tables → figures (PNG and SVG) and one self-contained page.
//!
//! It computes no statistic beyond means, standard deviations and standard errors over heads and seeds.
//! [`inputs`] reads the tables; [`figures`] lays them out as marks on a [`canvas`], with common axes ([`axis`]) and a common
//! [`style`]; [`render`] makes files of them; [`explorer`] packs what the page lets its reader explore; [`report`] makes the page.

pub mod axis;
pub mod canvas;
pub mod explorer;
pub mod figures;
pub mod inputs;
pub mod measures;
pub mod render;
pub mod report;
pub mod series;
pub mod style;
pub mod text;

use cli::Terminal;
use declarations::plot::Plot;
use declarations::{Fault, Job};

use crate::explorer::Explorer;
use crate::inputs::Inputs;

/// Reads the tables, renders every figure and writes figures and page.
///
/// # Errors
/// If a table is missing, damaged or of another version, or a file cannot be written.
pub fn run(job: &Job<Plot>, terminal: &Terminal) -> Result<(), Fault> {
    let root = job.outputs.root();
    let inputs = Inputs::read(&job.inputs, &job.parameters.study)?;
    let explorer = Explorer::read(&job.inputs, &job.parameters.study, &inputs)?;
    let figures: Vec<_> = inputs.datasets.iter().map(figures::all).collect();
    let progress = terminal.progress("plot", figures.iter().map(Vec::len).sum::<usize>() as u64);
    let mut rendered = Vec::new();
    for (dataset, figures) in inputs.datasets.iter().zip(figures) {
        let mut of_dataset = Vec::new();
        for figure in figures {
            progress.note(figure.name);
            let pictures = render::pictures(&figure).map_err(|error| Fault::bug(error.to_string()))?;
            let name = format!("{}_{}", figure.name, dataset.study.name);
            job.outputs.write_file(format!("plots/{name}.png"), &pictures.png)?;
            job.outputs.write_file(format!("plots/{name}.svg"), pictures.svg.as_bytes())?;
            of_dataset.push((figure, pictures));
            progress.advance(1);
        }
        rendered.push(of_dataset);
    }
    let page = "report/index.html";
    job.outputs.write_file(page, report::page(&inputs, &rendered, &explorer).as_bytes())?;
    drop(progress);
    terminal.say(format!("figures: {}, report: {}", root.join("plots").display(), root.join(page).display()));
    Ok(())
}
