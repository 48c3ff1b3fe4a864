//! Decoding a batch of texts character by character: sampling new ones, or feeding given ones.
//!
//! The model is a function from the next token of every text to a [`Prediction`], which is a decoder's `append`.

use model::Prediction;
use random_streams::ChaCha8Rng;

use crate::sampling::draw;

/// How texts are sampled.
#[derive(Clone, Copy, Debug)]
pub struct Sampling<'prompt> {
    /// The tokens that every text starts from.
    pub prompt: &'prompt [u16],
    /// Characters to generate.
    pub length: usize,
    /// The sampling temperature; 0 is greedy.
    pub temperature: f64,
    /// How many of the likeliest symbols are drawn from.
    pub top_k: usize,
}

/// Samples one text per random stream, so that a text does not depend on its batch. `observe` gets the prediction that each
/// character was drawn from. `None` if a logit is NaN or infinite.
pub fn sample(
    mut read: impl FnMut(&[u16]) -> Prediction,
    sampling: &Sampling<'_>,
    streams: &mut [ChaCha8Rng],
    mut observe: impl FnMut(&Prediction),
) -> Option<Vec<Vec<u16>>> {
    let mut texts = vec![Vec::with_capacity(sampling.length); streams.len()];
    let mut prediction = prefill(&mut read, sampling.prompt, streams.len())?;
    for position in 0..sampling.length {
        observe(&prediction);
        let symbols = prediction.logits.len() / streams.len();
        let draws = prediction.logits.chunks(symbols.max(1)).zip(streams.iter_mut());
        let next: Vec<u16> = draws
            .map(|(logits, stream)| draw(logits, sampling.temperature, sampling.top_k, stream))
            .collect::<Option<_>>()?;
        texts.iter_mut().zip(&next).for_each(|(text, &token)| text.push(token));
        if position + 1 < sampling.length {
            prediction = read(&next);
        }
    }
    Some(texts)
}

/// Feeds texts of equal length after the prompt, as if they were being sampled (teacher forcing). `observe` gets the prediction
/// of each of their characters.
pub fn feed(
    mut read: impl FnMut(&[u16]) -> Prediction,
    prompt: &[u16],
    texts: &[Vec<u16>],
    mut observe: impl FnMut(&Prediction),
) {
    let length = texts.first().map_or(0, Vec::len);
    let Some(mut prediction) = prefill(&mut read, prompt, texts.len()) else { return };
    for position in 0..length {
        observe(&prediction);
        if position + 1 < length {
            let next: Vec<u16> = texts.iter().map(|text| text[position]).collect();
            prediction = read(&next);
        }
    }
}

/// Feeds the prompt of every text; `None` if the prompt is empty or there are no texts.
fn prefill(read: &mut impl FnMut(&[u16]) -> Prediction, prompt: &[u16], batch: usize) -> Option<Prediction> {
    if batch == 0 {
        return None;
    }
    prompt.iter().map(|&token| read(&vec![token; batch])).last()
}

#[cfg(test)]
mod tests {
    use random_streams::stream;

    use super::*;

    const SYMBOLS: usize = 5;

    /// A model whose likeliest next symbol is the current one plus 1, modulo [`SYMBOLS`].
    fn counting(tokens: &[u16], certainty: f32) -> Prediction {
        let next = |token: u16| (usize::from(token) + 1) % SYMBOLS;
        let logits = tokens
            .iter()
            .flat_map(|&token| (0..SYMBOLS).map(move |symbol| if symbol == next(token) { certainty } else { 0.0 }))
            .collect();
        Prediction { logits, attention: Vec::new() }
    }

    fn streams(samples: std::ops::Range<u64>) -> Vec<ChaCha8Rng> {
        samples.map(|sample| stream("sampling", &[&sample])).collect()
    }

    #[test]
    fn texts_continue_the_prompt() {
        let sampling = Sampling { prompt: &[4, 1], length: 6, temperature: 1.0, top_k: 1 };
        let mut predictions = 0;
        let mut reads = 0;
        let read = |tokens: &[u16]| {
            reads += 1;
            counting(tokens, 9.0)
        };
        let texts = sample(read, &sampling, &mut streams(0..2), |_| predictions += 1).expect("finite");
        assert_eq!(texts, [[2, 3, 4, 0, 1, 2], [2, 3, 4, 0, 1, 2]]);
        assert_eq!((predictions, reads), (6, 7));
    }

    #[test]
    fn a_text_does_not_depend_on_its_batch() {
        let sampling = Sampling { prompt: &[0], length: 40, temperature: 1.0, top_k: 5 };
        let of =
            |samples| sample(|tokens| counting(tokens, 1.0), &sampling, &mut streams(samples), |_| {}).expect("finite");
        let together = of(0..4);
        assert_eq!(together[2..], of(2..4));
        assert_ne!(together[0], together[1]);
        assert_eq!(together, of(0..4));
    }

    #[test]
    fn feeding_a_sampled_text_gives_the_same_predictions() {
        let sampling = Sampling { prompt: &[0, 3], length: 20, temperature: 1.0, top_k: 5 };
        let (mut sampled, mut fed) = (Vec::new(), Vec::new());
        let read = |tokens: &[u16]| counting(tokens, 1.0);
        let texts = sample(read, &sampling, &mut streams(0..3), |prediction| sampled.push(prediction.logits.clone()))
            .expect("finite");
        feed(read, sampling.prompt, &texts, |prediction| fed.push(prediction.logits.clone()));
        assert_eq!(sampled, fed);
    }

    #[test]
    fn a_diverged_model_gives_no_text() {
        let sampling = Sampling { prompt: &[0], length: 3, temperature: 1.0, top_k: 5 };
        assert_eq!(sample(|tokens| counting(tokens, f32::INFINITY), &sampling, &mut streams(0..1), |_| {}), None);
    }
}
