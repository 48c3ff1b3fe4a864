//! Generated samples over training, beside real text.

use cli::number;
use maud::{Markup, html};

use crate::figures::step_heading;
use crate::inputs::Dataset;
use crate::text::printable;

/// How many characters of a text are shown.
const SHOWN: usize = 420;

/// The first sample at the first, middle and last snapshot, and real text; none without samples.
pub(super) fn samples(dataset: &Dataset) -> Option<Markup> {
    let first = |step: u32| dataset.samples.iter().filter(move |row| row.step == step).min_by_key(|row| row.sample);
    let generated: Vec<_> = dataset.sample_steps().into_iter().filter_map(|step| Some((step, first(step)?))).collect();
    let (_, sample) = generated.first()?;
    let window = dataset.attention.as_ref().and_then(|attention| attention.window.as_ref());
    Some(html! {
        div.samples {
            @for (step, sample) in &generated { (card(&step_heading(*step), &sample.text)) }
            @if let Some(window) = window { (card("real text: window of the attention patterns", &window.text)) }
        }
        p.note {
            "First sample of the first seed, temperature " (number::decimals(sample.temperature, 1)) ", top-k "
            (number::integer(sample.top_k)) "."
        }
    })
}

fn card(heading: &str, text: &str) -> Markup {
    let mut shown: String = printable(text).chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    html! { article { h3 { (heading) } pre tabindex="0" { (shown) } } }
}
