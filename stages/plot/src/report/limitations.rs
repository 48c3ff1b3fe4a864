//! What the study cannot show.

use cli::number;
use maud::{Markup, html};

use crate::inputs::Dataset;

pub(super) fn list(dataset: &Dataset) -> Markup {
    let seeds = dataset.study.seeds.len();
    html! {
        ul.limitations {
            li {
                "The replicate is the seed. "
                @match seeds {
                    1 => { "With one seed there are no intervals: claims that need one are inconclusive." }
                    _ => {
                        "Intervals and tests rest on " (number::integer(seeds)) " seeds; checkpoints of one training are \
                         not independent observations."
                    }
                }
            }
            @if let Some((windows, window)) =
                dataset.attention.as_ref().and_then(|attention| Some((attention.val_windows, attention.window.as_ref()?))) {
                li {
                    "Attention metrics are measured on " (number::integer(windows)) " windows of "
                    (number::integer(window.tokens.len())) " " (dataset.alphabet.unit()) "s of validation text, the same at every step and \
                     seed."
                }
            }
            @if !dataset.correlations.is_empty() {
                li { "Correlation is not causation, and over training it is confounded by the training step." }
            }
            li { "One model size and one training schedule: see the parameters below." }
        }
    }
}
