//! `report/index.html`: the whole study on one page that needs nothing else.

mod origins;
mod samples;
mod tables;

use crate::canvas::Figure;
use crate::html::{element, escape, words};
use crate::inputs::{Dataset, Inputs};
use crate::render::{Pictures, data_uri};

/// Figures of one dataset, drawn.
pub type Drawn = Vec<(Figure, Pictures)>;

const CSS: &str = include_str!("style.css");

/// The page, from the tables and each dataset's figures.
pub fn page(inputs: &Inputs, figures: &[Drawn]) -> String {
    let datasets: Vec<(&Dataset, Vec<Part>)> =
        inputs.datasets.iter().zip(figures).map(|(dataset, figures)| (dataset, parts(dataset, figures))).collect();
    let mut body = introduction(&datasets);
    body.push_str(&section("results", "Results", &tables::results(&inputs.results)));
    for (dataset, parts) in &datasets {
        let name = &dataset.study.name;
        let section = |part: &Part| section(&anchor(name, part.id), &format!("{name}: {}", part.title), &part.inner);
        body.extend(parts.iter().map(section));
    }
    let body = element("main", "", &body);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{TITLE}</title>\n<style>\n{CSS}</style>\n</head>\n\
         <body>\n{body}</body>\n</html>\n"
    )
}

const TITLE: &str = "How attention evolves while a GPT learns to write";

/// A section on one dataset.
struct Part {
    id: &'static str,
    title: &'static str,
    inner: String,
}

fn introduction(datasets: &[(&Dataset, Vec<Part>)]) -> String {
    let names: Vec<&str> = datasets.iter().map(|(dataset, _)| dataset.study.name.as_str()).collect();
    let text = format!(
        "A character-level GPT was trained on {}, and at many steps of its training every attention head was recorded on \
         the same stretches of unseen text. This page shows what changed: how focused the heads are, how far they look, how \
         alike the layers are, and whether any of it goes with better predictions or better text.",
        names.join(", ")
    );
    let about: String = datasets.iter().map(|(dataset, parts)| answer(dataset, parts)).collect();
    element("header", "", &(words("h1", "", TITLE) + &words("p", "lead", &text) + &about))
}

/// Which claims hold on a text, and where on the page the rest stands.
fn answer(dataset: &Dataset, parts: &[Part]) -> String {
    let name = &dataset.study.name;
    let link = |part: &Part| format!("<a href=\"#{}\">{}</a>\n", anchor(name, part.id), part.title);
    let links: String = parts.iter().map(link).collect();
    words("h2", "", name) + &tables::verdicts(&dataset.findings) + &element("nav", "", &links)
}

/// The sections that there is something to say in.
fn parts(dataset: &Dataset, figures: &Drawn) -> Vec<Part> {
    let name = &dataset.study.name;
    let all = [
        ("figures", "figures", figures.iter().map(|drawn| figure(name, drawn)).collect()),
        ("findings", "which claims hold", tables::findings(&dataset.findings)),
        ("correlations", "what goes with what", tables::correlations(&dataset.correlations)),
        ("samples", "what the model writes", samples::samples(dataset)),
        ("origins", "how this was made", origins::origins(dataset)),
    ];
    let parts = all.into_iter().map(|(id, title, inner)| Part { id, title, inner });
    parts.filter(|part| !part.inner.is_empty()).collect()
}

fn section(id: &str, title: &str, inner: &str) -> String {
    format!("<section id=\"{}\">\n{}{inner}</section>\n", escape(id), words("h2", "", title))
}

fn anchor(dataset: &str, part: &str) -> String {
    let plain = |character: char| if character.is_alphanumeric() { character } else { '-' };
    format!("{}-{part}", dataset.chars().map(plain).collect::<String>())
}

/// A figure with its caption: its SVG, or its PNG where that is smaller.
fn figure(dataset: &str, (figure, pictures): &(Figure, Pictures)) -> String {
    let uri = data_uri(&pictures.png);
    let picture = if pictures.svg.len() <= uri.len() {
        pictures.svg.clone()
    } else {
        let (width, height) = (figure.width, figure.height);
        format!("<img src=\"{uri}\" width=\"{width}\" height=\"{height}\" alt=\"{}\">\n", escape(&figure.title))
    };
    let card = format!("<div class=\"card\" tabindex=\"0\">{picture}</div>\n");
    let id = anchor(dataset, &format!("figure-{}", figure.name));
    format!("<figure id=\"{id}\">\n{card}{}</figure>\n", words("figcaption", "", &figure.caption))
}
