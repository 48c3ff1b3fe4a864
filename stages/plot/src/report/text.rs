//! What the dataset's text is like, and what will matter of it.

use cli::number;
use maud::{Markup, html};

use crate::inputs::Dataset;
use crate::text::printable;

/// What a reader of the results should know of the text; nothing where `prep` noted nothing.
pub(super) fn alerts(dataset: &Dataset) -> Markup {
    html! {
        @for note in &dataset.notes { p.alert role="note" { b { "About the text: " } (printable(&note.message)) "." } }
    }
}

/// The alphabet, and every note.
pub(super) fn about(dataset: &Dataset) -> Markup {
    let (alphabet, unit) = (&dataset.alphabet, dataset.alphabet.unit());
    let symbols = alphabet.len();
    html! {
        p {
            "The model reads and predicts one " (unit) " at a time, of " (number::integer(symbols)) " different ones. One that guesses \
             evenly among them has a loss of " (number::decimals((symbols as f64).ln(), 2)) " nats per " (unit) "; every loss on this \
             page is to be read beside that."
        }
        @match dataset.notes.is_empty() {
            true => p.note { "The stage prep looked for what often goes wrong with a text, such as byte order marks, carriage \
                              returns, symbols that are only in the validation text, or too few words, and found nothing to note." },
            false => {
                h3 { "Notes of the stage prep" }
                ul.notes {
                    @for note in &dataset.notes {
                        li {
                            (printable(&note.message))
                            span.muted {
                                (note.note.as_str().replace('_', " ")) ": " (number::integer(note.count))
                                @if let Some(share) = note.share { ", " (number::significant(100.0 * share, 2)) " %" }
                            }
                        }
                    }
                }
            }
        }
    }
}
