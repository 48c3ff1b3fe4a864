//! `report/index.html`: the study on one self-contained page, to be explored.
//!
//! Templates of maud, which escapes every string that is not markup. The only strings taken as markup are the style sheet, the
//! script, the data, whose `<` is escaped, and the figures' SVG. The script (`script.rs`) shows the views of attention and sets
//! text as text only; a policy in the page lets it request nothing and no other script run.

mod correlations;
mod facts;
mod findings;
mod limitations;
mod provenance;
mod results;
mod samples;
mod script;
mod splits;
mod text;
mod uncertainty;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::canvas::Figure;
use crate::explorer::Explorer;
use crate::inputs::{Dataset, Inputs};
use crate::render::{Pictures, data_uri};

/// The rendered figures of one dataset.
pub type Rendered = Vec<(Figure, Pictures)>;

const CSS: &str = include_str!("style.css");
const TITLE: &str = "Attention patterns during GPT training";

/// The views, in the order of the navigation: id, title, and what it says to those who look for their next click.
const VIEWS: [(&str, &str, &str); 9] = [
    ("overview", "Overview", ""),
    (
        "attention",
        "Attention",
        "Maps of every head, moved through training; one head on its text; what it attends to most",
    ),
    (
        "heads",
        "Heads",
        "Any metric of heads and layers over training, beside uniform attention; onsets; mark heads by dragging",
    ),
    ("layers", "Layers", "How alike the layers attend, at any snapshot"),
    ("text", "Text", "Generated samples at every snapshot, their scores, and attention while generating"),
    ("correlations", "Correlations", "Every tested pair, raw and partial side by side, with q-values"),
    ("findings", "Findings", "Each claim with its statistic, interval and p-value; uncertainty and limitations"),
    ("figures", "Figures", "The study’s figures, as files too"),
    ("provenance", "Provenance", "What the text is like; which stage made what, with which parameters"),
];

/// The page, from the tables, each dataset's figures, and the data of the views.
pub fn page(inputs: &Inputs, figures: &[Rendered], explorer: &Explorer) -> String {
    let script = script::script();
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(script::policy(&script));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (TITLE) }
                style { (PreEscaped(CSS)) }
            }
            body data-title=(TITLE) {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    p.title { (TITLE) }
                    nav aria-label="Views" {
                        @for (id, title, _) in VIEWS { a href={ "#" (id) } data-to=(id) { (title) } " " }
                    }
                }
                main #main tabindex="-1" {
                    @for (id, title, _) in VIEWS {
                        section id=(id) data-view=(id) aria-label=(title) {
                            (view(id, title, inputs, figures))
                        }
                    }
                }
                noscript { p.note { "Without scripts this page shows its tables and figures, but not the views to explore." } }
                script #study type="application/json" { (PreEscaped(data(&explorer.study))) }
                @for chunk in &explorer.chunks {
                    // Base64, which needs no escape.
                    script id=(chunk.id) type="text/plain" { (PreEscaped(&chunk.text)) }
                }
                script { (PreEscaped(&script)) }
            }
        }
    };
    document.into_string()
}

fn view(id: &str, title: &str, inputs: &Inputs, figures: &[Rendered]) -> Markup {
    match id {
        "overview" => overview(inputs),
        "findings" => each(title, inputs, |dataset| {
            html! {
                (section(dataset, "findings", "Claims", findings::table(&dataset.findings)))
                (section(dataset, "correlations", "Correlations with the lowest q", correlations::table(&dataset.correlations)))
                (section(dataset, "uncertainty", "Uncertainty", uncertainty::table(dataset)))
                (section(dataset, "limitations", "Limitations", Some(limitations::list(dataset))))
            }
        }),
        "figures" => html! {
            h1 { (title) }
            @for (dataset, figures) in inputs.datasets.iter().zip(figures) {
                (section(dataset, "figures", "All figures", Some(html! {
                    @for rendered in figures { (figure(&dataset.study.name, rendered, inputs.pending.is_none())) }
                })))
                (section(dataset, "samples", "Generated samples", samples::samples(dataset)))
            }
        },
        "provenance" => each(title, inputs, |dataset| {
            html! {
                (section(dataset, "dataset", "Text", Some(text::about(dataset))))
                (section(dataset, "provenance", "Stages and parameters", Some(provenance::table(dataset))))
            }
        }),
        _ => html! { h1 { (title) } div.app { p.note { "This view is drawn by the page’s script." } } },
    }
}

/// The first screen: what was run, what came out, the figure that tells the story, and where to go on.
fn overview(inputs: &Inputs) -> Markup {
    html! {
        h1 { "How attention forms while a GPT learns to write" }
        p.lead {
            "A small GPT learns to predict text character by character. All along, the attention of each of its heads is \
             recorded on the same windows of text: how patterns form, which heads specialise and when, and whether that \
             correlates with the loss or with the quality of what it writes."
        }
        @if !inputs.missing.is_empty() {
            p.alert role="note" { "Missing, since it failed: " (inputs.missing.join(", ")) "." }
        }
        @if let Some(pending) = &inputs.pending { (so_far(pending)) }
        @for dataset in &inputs.datasets {
            section.study {
                h2 { (dataset.study.name) }
                (facts::list(dataset, &inputs.results))
                div data-story=(dataset.study.name) {}
                (findings::summary(&dataset.findings))
                (text::alerts(dataset))
            }
        }
        @let losses = splits::table(inputs);
        @let imported = inputs.datasets.iter().all(Dataset::is_imported);
        @if !inputs.results.is_empty() || losses.is_some() {
            section #results {
                h2 { "Results" }
                @if !inputs.results.is_empty() { (results::table(&inputs.results, &inputs.units(), imported)) }
                @if let Some(losses) = losses { (losses) }
            }
        }
        h2 { "Where to look next" }
        ul.next {
            @for (id, title, about) in VIEWS.iter().skip(1) {
                li { a href={ "#" (id) } data-to=(id) { (title) } span { (about) } }
            }
        }
    }
}

/// That the study is not whole, and what it lacks.
fn so_far(pending: &[String]) -> Markup {
    html! {
        div.alert role="note" {
            p {
                b { "What there is so far." }
                @match pending.is_empty() {
                    true => { " Every table of the study is there: the stage plot writes the final page, report/index.html." }
                    false => {
                        " The study still runs, or was interrupted. Not on this page yet:"
                    }
                }
            }
            @if !pending.is_empty() { ul { @for what in pending { li { (what) } } } }
        }
    }
}

fn each(title: &str, inputs: &Inputs, of: impl Fn(&Dataset) -> Markup) -> Markup {
    html! { h1 { (title) } @for dataset in &inputs.datasets { (of(dataset)) } }
}

/// A section on one dataset; nothing without content.
fn section(dataset: &Dataset, id: &str, title: &str, content: Option<Markup>) -> Markup {
    html! {
        @if let Some(content) = content {
            section id=(anchor(&dataset.study.name, id)) {
                h2 { (title) span.muted { (dataset.study.name) } }
                (content)
            }
        }
    }
}

/// A JSON document that cannot end its element, nor begin a comment in it.
fn data(value: &serde_json::Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// The id of a part of a dataset on the page.
fn anchor(dataset: &str, part: &str) -> String {
    let letter = |character: char| if character.is_alphanumeric() { character } else { '-' };
    format!("{}-{part}", dataset.chars().map(letter).collect::<String>())
}

/// A figure with its caption and, if they are written, its files: the SVG, or the PNG where that is smaller.
fn figure(dataset: &str, (figure, pictures): &(Figure, Pictures), has_files: bool) -> Markup {
    let uri = data_uri(&pictures.png);
    let file = |ending: &str| format!("../plots/{}_{dataset}.{ending}", figure.name);
    html! {
        figure.drawn id=(anchor(dataset, &format!("figure-{}", figure.name))) {
            // What scrolls must be reachable by keyboard.
            div.card tabindex="0" role="region" aria-label=(figure.title) {
                @if pictures.svg.len() <= uri.len() {
                    (PreEscaped(&pictures.svg))
                } @else {
                    img src=(uri) width=(figure.width) height=(figure.height) alt=(figure.title);
                }
            }
            figcaption {
                (figure.caption)
                @if has_files {
                    " Files beside this page: "
                    a href=(file("svg")) aria-label={ (figure.title) " as SVG" } { "SVG" } ", "
                    a href=(file("pdf")) aria-label={ (figure.title) " as PDF" } { "PDF" } ", "
                    a href=(file("png")) aria-label={ (figure.title) " as PNG" } { "PNG" } ", "
                    a href=(file("csv")) aria-label={ (figure.title) " as CSV" } { "CSV" } "."
                }
            }
        }
    }
}

/// A table with its caption, column headings and rows of cells; wide ones scroll.
fn scrolling_table(class: &str, caption: &str, columns: &[&str], rows: &[Markup]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table class=(class) {
                caption { (caption) }
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody { @for row in rows { tr { (row) } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_end_its_element() {
        let written = data(&serde_json::json!({ "text": "</script><!--&\u{2028}" }));
        assert!(!written.contains(['<', '>', '&']));
        let read: serde_json::Value = serde_json::from_str(&written).expect("still JSON");
        assert_eq!(read["text"], "</script><!--&\u{2028}");
    }
}
