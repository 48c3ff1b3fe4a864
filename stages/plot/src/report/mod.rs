//! `report/index.html`: the study on one self-contained page.
//!
//! Templates of maud, which escapes every string that is not markup. The only strings taken as markup are the style sheet
//! and the figures' SVG.

mod correlations;
mod findings;
mod limitations;
mod provenance;
mod results;
mod samples;
mod uncertainty;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use schemas::Unit;

use crate::canvas::Figure;
use crate::inputs::{Dataset, Inputs};
use crate::render::{Pictures, data_uri};

/// The rendered figures of one dataset.
pub type Rendered = Vec<(Figure, Pictures)>;

const CSS: &str = include_str!("style.css");
const TITLE: &str = "Attention patterns during GPT training";

/// The page, from the tables and each dataset's figures.
pub fn page(inputs: &Inputs, figures: &[Rendered]) -> String {
    let datasets: Vec<(&Dataset, Vec<Section>)> =
        inputs.datasets.iter().zip(figures).map(|(dataset, figures)| (dataset, sections(dataset, figures))).collect();
    let units: Vec<Unit> = inputs.datasets.iter().map(|dataset| dataset.alphabet.unit()).collect();
    let names: Vec<&str> = inputs.datasets.iter().map(|dataset| dataset.study.name.as_str()).collect();
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (TITLE) }
                style { (PreEscaped(CSS)) }
            }
            body {
                main {
                    header {
                        h1 { (TITLE) }
                        p.lead {
                            "A character-level GPT was trained on " (names.join(", ")) ". At snapshots throughout training, the \
                             attention patterns of all heads were recorded on fixed windows of validation text. This page \
                             shows how entropy, attention distance and layer similarity change during training, and whether \
                             they correlate with validation loss or the quality of generated text."
                        }
                        @if !inputs.missing.is_empty() {
                            p.lead role="note" { "Missing, since it failed: " (inputs.missing.join(", ")) "." }
                        }
                        @for (dataset, sections) in &datasets {
                            h2 { (dataset.study.name) }
                            (findings::summary(&dataset.findings))
                            nav {
                                @for section in sections {
                                    a href={ "#" (section.anchor(dataset)) } { (section.title) } " "
                                }
                            }
                        }
                    }
                    section #results { h2 { "Results" } (results::table(&inputs.results, &units)) }
                    @for (dataset, sections) in &datasets {
                        @for section in sections {
                            section id=(section.anchor(dataset)) {
                                h2 { (section.title) span.muted { (dataset.study.name) } }
                                (section.content)
                            }
                        }
                    }
                }
            }
        }
    };
    document.into_string()
}

/// A section on one dataset.
struct Section {
    id: &'static str,
    title: &'static str,
    content: Markup,
}

impl Section {
    fn anchor(&self, dataset: &Dataset) -> String {
        anchor(&dataset.study.name, self.id)
    }
}

/// The sections that the dataset's tables allow.
fn sections(dataset: &Dataset, figures: &Rendered) -> Vec<Section> {
    let figures = html! { @for rendered in figures { (figure(&dataset.study.name, rendered)) } };
    let all = [
        ("figures", "Figures", Some(figures)),
        ("findings", "Findings", findings::table(&dataset.findings)),
        ("correlations", "Correlations", correlations::table(&dataset.correlations)),
        ("uncertainty", "Uncertainty", uncertainty::table(dataset)),
        ("samples", "Generated samples", samples::samples(dataset)),
        ("limitations", "Limitations", Some(limitations::list(dataset))),
        ("provenance", "Provenance", Some(provenance::table(dataset))),
    ];
    let section = |(id, title, content): (_, _, Option<_>)| Some(Section { id, title, content: content? });
    all.into_iter().filter_map(section).collect()
}

/// The id of a part of a dataset on the page.
fn anchor(dataset: &str, part: &str) -> String {
    let letter = |character: char| if character.is_alphanumeric() { character } else { '-' };
    format!("{}-{part}", dataset.chars().map(letter).collect::<String>())
}

/// A figure with its caption: the SVG, or the PNG where that is smaller.
fn figure(dataset: &str, (figure, pictures): &(Figure, Pictures)) -> Markup {
    let uri = data_uri(&pictures.png);
    html! {
        figure id=(anchor(dataset, &format!("figure-{}", figure.name))) {
            // What scrolls must be reachable by keyboard.
            div.card tabindex="0" {
                @if pictures.svg.len() <= uri.len() {
                    (PreEscaped(&pictures.svg))
                } @else {
                    img src=(uri) width=(figure.width) height=(figure.height) alt=(figure.title);
                }
            }
            figcaption { (figure.caption) }
        }
    }
}

/// A table with its column headings and rows of cells; wide ones scroll.
fn scrolling_table(class: &str, columns: &[&str], rows: &[Markup]) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table class=(class) {
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody { @for row in rows { tr { (row) } } }
            }
        }
    }
}
