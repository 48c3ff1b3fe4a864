//! The `plot` stage: the study's tables → figures (PNG, SVG, PDF, with their numbers as CSV) and one self-contained page.
//!
//! It computes no statistic beyond means, standard deviations, standard errors and quantiles over heads, samples and seeds.
//! [`inputs`] reads the tables; [`figures`] lays them out as marks on a [`canvas`], with common axes ([`axis`]) and a common
//! [`style`]; [`render`], [`pdf`] and [`data`] make files of them; [`explorer`] packs what the page lets its reader explore;
//! [`report`] makes the page.

pub mod axis;
pub mod canvas;
pub mod data;
pub mod explorer;
pub mod figures;
pub mod inputs;
pub mod measures;
pub mod pdf;
pub mod render;
pub mod report;
pub mod series;
pub mod so_far;
pub mod style;
pub mod text;

use cli::Terminal;
use declarations::plot::{Parameters, Plot};
use declarations::{Fault, FigureName, Job};
use rayon::prelude::*;

use crate::canvas::Figure;
use crate::explorer::Explorer;
use crate::inputs::{Dataset, Inputs};
use crate::render::Pictures;
use crate::style::Look;

/// Reads the tables, renders every figure and writes figures and page.
///
/// # Errors
/// If a table is missing, damaged or of another version, or a file cannot be written.
pub fn run(job: &Job<Plot>, terminal: &Terminal) -> Result<(), Fault> {
    if job.parameters.list == Some(true) {
        print!("{}", list());
        return Ok(());
    }
    if job.parameters.so_far != Some(true) {
        return draw_all(job, None, terminal);
    }
    let root = job.outputs.root();
    let (parameters, pending) = so_far::reduced(&job.parameters, root)?;
    let rest = Job::new(root, job.partition.clone(), parameters, job.execution);
    draw_all(&rest, Some(pending), terminal)
}

/// Draws what the study has. `pending` is what a study that still runs has not: then only the page is written, so that nothing
/// takes its figures for final ones.
fn draw_all(job: &Job<Plot>, pending: Option<Vec<String>>, terminal: &Terminal) -> Result<(), Fault> {
    let root = job.outputs.root();
    let inputs = Inputs { pending, ..Inputs::read(&job.inputs, &job.parameters)? };
    let explorer = Explorer::read(&job.inputs, &job.parameters, &inputs)?;
    let progress = terminal.progress("plot", (FigureName::ALL.len() * inputs.datasets.len()) as u64);
    let mut rendered = Vec::new();
    for dataset in &inputs.datasets {
        let figures = FigureName::ALL.par_iter().map(|name| draw(&job.parameters, dataset, *name));
        let mut on_page = Vec::new();
        for drawn in figures.collect::<Result<Vec<_>, Fault>>()?.into_iter().flatten() {
            progress.note(drawn.figure.name);
            for (ending, bytes) in &drawn.files {
                let path = format!("plots/{}_{}.{ending}", drawn.figure.name, dataset.study.name);
                job.outputs.write_file(path, bytes)?;
            }
            on_page.push((drawn.figure, drawn.pictures));
            progress.advance(1);
        }
        rendered.push(on_page);
    }
    let page = if inputs.pending.is_some() { "report/so_far.html" } else { "report/index.html" };
    job.outputs.write_file(page, report::page(&inputs, &rendered, &explorer).as_bytes())?;
    drop(progress);
    let page = root.join(page);
    terminal.say(match &inputs.pending {
        None => format!("figures: {}, report: {}", root.join("plots").display(), page.display()),
        Some(pending) if pending.is_empty() => format!("page: {}, of every table", page.display()),
        Some(pending) => format!("page: {}, still without {}", page.display(), pending.join("; ")),
    });
    Ok(())
}

/// A figure as the page has it, and the contents of its files by ending; none if they are not asked for.
struct Drawn {
    figure: Figure,
    pictures: Pictures,
    files: Vec<(&'static str, Vec<u8>)>,
}

/// Draws a figure; none without the tables that it needs.
fn draw(parameters: &Parameters, dataset: &Dataset, name: FigureName) -> Result<Option<Drawn>, Fault> {
    let look = Look { width: parameters.width, theme: parameters.theme, titles: parameters.titles };
    let Some(figure) = figures::figure(name, dataset, Look::default()) else { return Ok(None) };
    let pictures = rendered(&figure)?;
    let mut files = Vec::new();
    if parameters.draws(name) && parameters.so_far != Some(true) {
        if look == Look::default() {
            files = contents(&figure, pictures.clone())?;
        } else if let Some(figure) = figures::figure(name, dataset, look) {
            files = contents(&figure, rendered(&figure)?)?;
        }
    }
    Ok(Some(Drawn { figure, pictures, files }))
}

fn rendered(figure: &Figure) -> Result<Pictures, Fault> {
    render::pictures(figure).map_err(|error| Fault::bug(error.to_string()))
}

/// A figure's pictures, numbers and caption.
fn contents(figure: &Figure, pictures: Pictures) -> Result<Vec<(&'static str, Vec<u8>)>, Fault> {
    let bug =
        |what: &str, reason: String| Fault::bug(format!("cannot write the figure {} as {what}: {reason}", figure.name));
    let pdf = pdf::pdf(figure).map_err(|reason| bug("PDF", reason))?;
    let csv = figure.data.csv().map_err(|error| bug("CSV", error.to_string()))?;
    let (svg, caption) = (pictures.svg.into_bytes(), figure.whole_caption().into_bytes());
    Ok(vec![("png", pictures.png), ("svg", svg), ("pdf", pdf), ("csv", csv), ("txt", caption)])
}

/// The figures, a line for each.
fn list() -> String {
    let width = FigureName::ALL.iter().map(|name| name.word().len()).max().unwrap_or(0);
    FigureName::ALL.iter().map(|name| format!("{:width$}  {}\n", name.word(), name.about())).collect()
}
