//! Control texts with a known structure: metrics of attention must detect it, and must detect none in a shuffled text. They are
//! generated from a fixed seed and are the same on every machine.
//!
//! `x[n]` is the `n`-th character as a number. The symbols of the first two texts are the sixteen characters from `0` to `?`. None
//! is a letter, so these texts have no words and scores of words are null. The entropy rate is the lowest possible loss, in nats
//! per character, given all earlier characters. In a window the lowest loss is higher, since the characters that determine
//! another may be before the window.

use random_streams::{ChaCha8Rng, RngExt, SliceRandom, stream};

/// Symbols of [`lag`] and [`copy`].
pub const SYMBOLS: u8 = 16;

/// Characters of [`lag`] and [`copy`].
pub const LENGTH: usize = 1_000_000;

/// The distance in [`lag`] from a character to the one that determines it. A head that predicts it attends from the character
/// before it, at distance `LAG − 1`.
pub const LAG: usize = 6;

/// The share of characters in [`lag`] that are determined by an earlier one.
pub const LAG_CERTAINTY: f64 = 0.9;

/// What is added to the earlier character in [`lag`]. It is coprime to [`SYMBOLS`], so a symbol recurs only after 16 shifts, 96
/// characters later, and induction does not predict short windows.
pub const SHIFT: u8 = 5;

/// The share of characters in [`copy`] that are the successor, in the cycle, of the one before.
pub const COPY_CERTAINTY: f64 = 0.8;

/// Characters of [`copy`] after which a new cycle is drawn.
pub const CYCLE_LIFETIME: usize = 256;

/// The random stream of a text.
fn random(text: &str) -> ChaCha8Rng {
    const SEED: u64 = 1337;
    stream(text, &[&SEED])
}

/// A text in which a character is determined by the one six before it, with probability 0.9; only a head that attends five
/// characters back predicts it.
///
/// ```text
/// x[n] = (x[n − LAG] + SHIFT) mod SYMBOLS   with probability LAG_CERTAINTY
/// x[n] ~ uniform over the symbols           otherwise, and for n < LAG
/// ```
///
/// All symbols are equally frequent. With `r = (1 − LAG_CERTAINTY) / SYMBOLS` and `q = LAG_CERTAINTY + r` the entropy rate is
/// `−q ln q − (SYMBOLS − 1) r ln r` = 0.5650 nats. The first `LAG − 1` characters of a window cannot be predicted
/// and cost `ln SYMBOLS` = 2.7726 each: in windows of 32 characters 0.9099 nats.
pub fn lag() -> Vec<u8> {
    let mut random = random("control_lag");
    let mut symbols: Vec<u8> = Vec::with_capacity(LENGTH);
    for position in 0..LENGTH {
        let planted = position >= LAG && random.random_bool(LAG_CERTAINTY);
        symbols.push(match planted {
            true => (symbols[position - LAG] + SHIFT) % SYMBOLS,
            false => random.random_range(0..SYMBOLS),
        });
    }
    written(symbols)
}

/// A text in which a character is followed by what followed its earlier occurrences, with probability 0.8; only an induction
/// head, which attends to the character after an earlier occurrence of the current one, predicts it.
///
/// ```text
/// x[n] = the successor of x[n − 1] in the current cycle   with probability COPY_CERTAINTY
/// x[n] ~ uniform over the symbols                         otherwise, and for n = 0
/// ```
///
/// Every `CYCLE_LIFETIME` characters a new cycle is drawn: all symbols in random order, the first again after the last. So over
/// the whole text all symbols and all pairs are equally frequent, and nothing can be memorised. Random characters are so frequent
/// that a cycle is rarely completed without one (0.8¹⁶ = 0.03), so no fixed distance leads to an earlier occurrence.
///
/// With `r = (1 − COPY_CERTAINTY) / SYMBOLS` and `q = COPY_CERTAINTY + r` the entropy rate, the cycle known, is
/// `−q ln q − (SYMBOLS − 1) r ln r` = 0.9903 nats. Without context the lowest loss is `ln SYMBOLS` = 2.7726.
///
/// Random blocks of random length that occur twice are less suited: small models learn first which symbols a block has, without
/// their order, and stay there for very long; and with fewer symbols they sometimes find a solution other than induction.
pub fn copy() -> Vec<u8> {
    let mut random = random("control_copy");
    let mut cycle: Vec<u8> = (0..SYMBOLS).collect();
    let mut successor = [0; SYMBOLS as usize];
    let mut symbols: Vec<u8> = Vec::with_capacity(LENGTH);
    for position in 0..LENGTH {
        if position.is_multiple_of(CYCLE_LIFETIME) {
            cycle.shuffle(&mut random);
            for (symbol, next) in cycle.iter().zip(cycle.iter().cycle().skip(1)) {
                successor[usize::from(*symbol)] = *next;
            }
        }
        let planted = position > 0 && random.random_bool(COPY_CERTAINTY);
        symbols.push(match planted {
            true => successor[usize::from(symbols[position - 1])],
            false => random.random_range(0..SYMBOLS),
        });
    }
    written(symbols)
}

/// The bytes of a text in random order: the same frequencies, and characters are independent. The entropy rate is that of the
/// frequencies, `−Σ p ln p`.
pub fn shuffled(text: &[u8]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    bytes.shuffle(&mut random("control_shuffled"));
    bytes
}

/// Symbols as characters from `0` on.
fn written(mut symbols: Vec<u8>) -> Vec<u8> {
    symbols.iter_mut().for_each(|symbol| *symbol += b'0');
    symbols
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of characters that `predict` gets right from the text before, among those that it predicts.
    fn predicted(text: &[u8], predict: impl Fn(&[u8]) -> Option<u8>) -> f64 {
        let right = (0..text.len()).filter_map(|end| Some(predict(&text[..end])? == text[end]));
        let right: Vec<bool> = right.collect();
        right.iter().filter(|right| **right).count() as f64 / right.len() as f64
    }

    #[test]
    fn the_character_six_before_predicts_and_no_other_does() {
        let text = lag();
        assert_eq!(text.len(), LENGTH);
        let shifted = |symbol: u8| (symbol - b'0' + SHIFT) % SYMBOLS + b'0';
        // Multiples of the lag predict too, with as many shifts.
        for distance in (1..=4 * LAG).filter(|distance| *distance == LAG || !distance.is_multiple_of(LAG)) {
            let share = predicted(&text, |before| Some(shifted(before[before.len().checked_sub(distance)?])));
            // The standard error of a million draws with probability 0.906 or 0.063 is below 0.0003.
            let expected = if distance == LAG { 0.9 + 0.1 / 16.0 } else { 1.0 / 16.0 };
            assert!((share - expected).abs() < 0.002, "distance {distance}: {share}");
        }
    }

    #[test]
    fn induction_predicts_and_no_fixed_distance_does() {
        let text = copy();
        assert_eq!(text.len(), LENGTH);
        let share_within = |predict: &dyn Fn(&[u8]) -> Option<u8>| {
            let shares = text.chunks(CYCLE_LIFETIME).map(|part| predicted(part, predict));
            shares.sum::<f64>() / text.len().div_ceil(CYCLE_LIFETIME) as f64
        };
        // With r = 0.2 / 16: both times the successor (0.8 + r)², both times the same other symbol 15 r².
        let again = share_within(&|before| {
            let (current, earlier) = before.split_last()?;
            earlier.iter().rposition(|symbol| symbol == current).map(|place| before[place + 1])
        });
        assert!((again - 0.662).abs() < 0.005, "{again}");
        // Without a random character between, a symbol recurs after 16 characters: 1/16 + 15/16 · 0.8¹⁶ = 0.089.
        for distance in 1..=2 * usize::from(SYMBOLS) {
            let share = share_within(&|before| Some(before[before.len().checked_sub(distance)?]));
            assert!(share < 0.10, "distance {distance}: {share}");
        }
        // Over the whole text every symbol follows every other equally often.
        for (symbol, next) in (b'0'..=b'?').flat_map(|symbol| (b'0'..=b'?').map(move |next| (symbol, next))) {
            let share = predicted(&text, |before| (before.last() == Some(&symbol)).then_some(next));
            let expected = if symbol == next { 0.2 / 16.0 } else { (1.0 - 0.2 / 16.0) / 15.0 };
            assert!((share - expected).abs() < 0.02, "{symbol} {next}: {share}");
        }
    }

    #[test]
    fn shuffling_keeps_the_characters_and_nothing_else() {
        let text = b"ab".repeat(5000);
        let mut shuffled = shuffled(&text);
        let alternating = predicted(&shuffled, |before| before.last().map(|byte| b'a' + b'b' - byte));
        assert!((alternating - 0.5).abs() < 0.02, "{alternating}");
        shuffled.sort_unstable();
        assert_eq!(shuffled, [vec![b'a'; 5000], vec![b'b'; 5000]].concat());
    }

    #[test]
    fn entropy_rates_are_as_documented() {
        let symbols = f64::from(SYMBOLS);
        let rate = |certainty: f64| {
            let r = (1.0 - certainty) / symbols;
            let q = certainty + r;
            -q * q.ln() - (symbols - 1.0) * r * r.ln()
        };
        let (lag, copy) = (rate(LAG_CERTAINTY), rate(COPY_CERTAINTY));
        let window = (5.0 * symbols.ln() + 27.0 * lag) / 32.0;
        assert_eq!(format!("{lag:.4} {window:.4} {copy:.4} {:.4}", symbols.ln()), "0.5650 0.9099 0.9903 2.7726");
    }
}
