//! Drawing the next token.

use random_streams::{Rng, RngExt};

/// Draws a token from `softmax(logits / temperature)` over the `top_k` likeliest, in float64. Ties go to the lowest token; a
/// `top_k` above the vocabulary size takes all. A temperature of 0 is the limit towards it, the likeliest token (greedy), as is
/// a `top_k` of 1. Exactly one uniform number is drawn from the stream. `None` if there are no logits or one is NaN or infinite:
/// the model has diverged.
pub fn draw(logits: &[f32], temperature: f64, top_k: usize, rng: &mut impl Rng) -> Option<u16> {
    let uniform: f64 = rng.random();
    if logits.iter().any(|logit| !logit.is_finite()) {
        return None;
    }
    let tokens = 0..=u16::MAX;
    let mut ranked: Vec<(u16, f64)> = tokens.zip(logits).map(|(token, &logit)| (token, f64::from(logit))).collect();
    ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked.truncate(top_k.max(1));
    let &(likeliest, highest) = ranked.first()?;
    if temperature == 0.0 {
        return Some(likeliest);
    }
    let weight = |logit: f64| ((logit - highest) / temperature).exp();
    let total: f64 = ranked.iter().map(|&(_, logit)| weight(logit)).sum();
    let mut cumulative = 0.0;
    let drawn = ranked.iter().find(|(_, logit)| {
        cumulative += weight(*logit);
        uniform * total < cumulative
    });
    // Rounding can leave the last sum just below the total.
    drawn.or(ranked.last()).map(|&(token, _)| token)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use random_streams::stream;

    use super::*;

    #[test]
    fn one_candidate_is_greedy_and_ties_go_to_the_lowest_token() {
        let mut rng = stream("test", &[&0u64]);
        for _ in 0..50 {
            assert_eq!(draw(&[0.5, 2.0, 1.9, 2.0], 5.0, 1, &mut rng), Some(1));
        }
    }

    #[test]
    fn a_temperature_of_0_is_greedy_and_ties_go_to_the_lowest_token() {
        let mut rng = stream("test", &[&3u64]);
        for temperature in [0.0, -0.0, f64::MIN_POSITIVE] {
            assert_eq!(draw(&[0.5, 2.0, 1.9, 1.0], temperature, 4, &mut rng), Some(1));
        }
        assert_eq!(draw(&[0.5, 2.0, 1.9, 2.0], 0.0, 4, &mut rng), Some(1));
        assert_eq!(draw(&[0.0, f32::NAN], 0.0, 2, &mut rng), None);
    }

    #[test]
    fn frequencies_are_the_softmax_of_the_candidates() {
        // Logits ln 1, ln 2, ln 3, ln 4 at temperature 1/2 weigh 1, 4, 9, 16; the three likeliest sum to 29.
        let logits = [1f32.ln(), 2f32.ln(), 3f32.ln(), 4f32.ln()];
        let mut rng = stream("test", &[&1u64]);
        let draws = 40_000;
        let mut counts = [0; 4];
        for _ in 0..draws {
            counts[usize::from(draw(&logits, 0.5, 3, &mut rng).expect("finite logits"))] += 1;
        }
        assert_eq!(counts[0], 0);
        for (count, weight) in counts.iter().zip([0.0, 4.0, 9.0, 16.0]).skip(1) {
            let share = weight / 29.0;
            let deviation = f64::sqrt(share * (1.0 - share) / f64::from(draws));
            assert!((f64::from(*count) / f64::from(draws) - share).abs() < 4.0 * deviation, "{counts:?}");
        }
    }

    #[test]
    fn a_diverged_model_draws_nothing() {
        let mut rng = stream("test", &[&2u64]);
        assert_eq!(draw(&[0.0, f32::NAN], 1.0, 2, &mut rng), None);
        assert_eq!(draw(&[], 1.0, 2, &mut rng), None);
    }

    proptest! {
        #[test]
        fn only_the_likeliest_are_drawn(
            logits in prop::collection::vec(-30f32..30.0, 1..80), top_k in 1usize..100, seed: u64,
        ) {
            let token = draw(&logits, 0.8, top_k, &mut stream("test", &[&seed])).expect("finite logits");
            let better = logits.iter().filter(|&&logit| logit > logits[usize::from(token)]).count();
            prop_assert!(better < top_k);
        }

        #[test]
        fn one_number_is_drawn_from_the_stream(seed: u64, top_k in 1usize..5, temperature in 0usize..2) {
            let (mut a, mut b) = (stream("test", &[&seed]), stream("test", &[&seed]));
            draw(&[0.0, 1.0, 2.0], [0.0, 0.8][temperature], top_k, &mut a);
            b.random::<f64>();
            prop_assert_eq!(a.random::<u64>(), b.random::<u64>());
        }
    }
}
