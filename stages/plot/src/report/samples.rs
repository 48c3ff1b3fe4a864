//! What the model wrote as it learned, beside real text.

use crate::html::{element, words};
use crate::inputs::Dataset;
use crate::number;

/// How much of a text is shown.
const SHOWN: usize = 420;

/// The first sample at the first, the middle and the last snapshot, and real text.
pub(super) fn samples(dataset: &Dataset) -> String {
    let mut cards = String::new();
    let steps = dataset.telling_steps();
    for step in &steps {
        let first = dataset.samples.iter().filter(|row| row.step == *step).min_by_key(|row| row.sample);
        if let Some(sample) = first {
            let heading = match step {
                0 => "step 0: untrained".to_owned(),
                step => format!("step {}", number::decimals(f64::from(*step), 0)),
            };
            cards.push_str(&card(&heading, &sample.text));
        }
    }
    if cards.is_empty() {
        return String::new();
    }
    if let Some(window) = dataset.attention.as_ref().and_then(|attention| attention.window.as_ref()) {
        cards.push_str(&card("real text: the probe window of the attention maps", &window.text));
    }
    let how = dataset.samples.first().map_or_else(String::new, |row| {
        let (temperature, top_k) = (number::decimals(row.temperature, 1), row.top_k);
        format!(
            "The first sample of the first seed, at temperature {temperature}, from the {top_k} likeliest characters."
        )
    });
    element("div", "samples", &cards) + &words("p", "note", &how)
}

fn card(heading: &str, text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    element("article", "", &(words("h3", "", heading) + &words("pre", "", &shown)))
}
