//! Texts with a known structure, because it was planted: whoever measures attention must find it there, and must find
//! nothing where there is nothing. Each is made from a fixed seed, in no time and without a network, and is the same on
//! every machine.
//!
//! `x[n]` is the text's `n`-th character as a number. The symbols of the first two texts are the sixteen characters from `0` to
//! `?`. None of them is a letter: these texts have no words, so scores that are about words are null rather than meaningless. A text's entropy
//! rate is what a perfect model loses on each character, in nats, when all that decides the character is known to it. In a
//! window that starts anywhere it loses more, since what a character follows from may lie before the window.

use random_streams::{ChaCha8Rng, RngExt, SliceRandom, stream};

/// Different symbols of [`lag`] and [`copy`].
pub const SYMBOLS: u8 = 16;

/// Characters of [`lag`] and [`copy`].
pub const LENGTH: usize = 1_000_000;

/// How far before a character of [`lag`] the one lies that it follows from. The head that predicts it looks back from the
/// character before it, so its attention lies at distance `LAG − 1`.
pub const LAG: usize = 6;

/// The share of characters in [`lag`] that follow from an earlier one.
pub const LAG_CERTAINTY: f64 = 0.9;

/// What is added to the earlier character of [`lag`]. It has no divisor in common with [`SYMBOLS`], so a symbol comes back
/// to itself only after 16 turns, 96 characters later: short windows do not repeat themselves, and looking for repetitions
/// is of no use.
pub const TURN: u8 = 5;

/// The share of characters in [`copy`] that are what follows the character before in the cycle.
pub const COPY_CERTAINTY: f64 = 0.8;

/// Characters of [`copy`] that share a cycle.
pub const STRETCH: usize = 256;

/// The random numbers of a text.
fn random(text: &str) -> ChaCha8Rng {
    const SEED: u64 = 1337;
    stream(text, &[&SEED])
}

/// A character is decided by the one six before it, nine times in ten; only a head that looks five characters back from
/// where it predicts helps.
///
/// ```text
/// x[n] = (x[n − LAG] + TURN) mod SYMBOLS   with probability LAG_CERTAINTY
/// x[n] ~ uniform over the symbols          else, and for n < LAG
/// ```
///
/// All symbols are equally frequent. With `r = (1 − LAG_CERTAINTY) / SYMBOLS` and `q = LAG_CERTAINTY + r` the entropy rate is
/// `−q ln q − (SYMBOLS − 1) r ln r` = 0.5650 nats. The first `LAG − 1` predictions of a window have nothing to go by and
/// cost `ln SYMBOLS` = 2.7726 each: in windows of 32 characters 0.9099 nats.
pub fn lag() -> Vec<u8> {
    let mut random = random("control_lag");
    let mut symbols: Vec<u8> = Vec::with_capacity(LENGTH);
    for position in 0..LENGTH {
        let planted = position >= LAG && random.random_bool(LAG_CERTAINTY);
        symbols.push(match planted {
            true => (symbols[position - LAG] + TURN) % SYMBOLS,
            false => random.random_range(0..SYMBOLS),
        });
    }
    written(symbols)
}

/// What follows a character is decided by what followed it before, four times in five; only a head helps that finds an
/// earlier occurrence of the current character and looks at the one after it (induction).
///
/// ```text
/// x[n] = the successor of x[n − 1] in its stretch's cycle   with probability COPY_CERTAINTY
/// x[n] ~ uniform over the symbols                           else, and for n = 0
/// ```
///
/// Every `STRETCH` characters a new cycle is drawn: all symbols in random order, the first again after the last. So over the
/// whole text no symbol is more frequent than another, nor after another, and there is nothing to learn by heart. Random
/// characters come so often that the way around the cycle is rarely undisturbed (0.8¹⁶ = 0.03), so no fixed distance leads
/// to an earlier occurrence.
///
/// With `r = (1 − COPY_CERTAINTY) / SYMBOLS` and `q = COPY_CERTAINTY + r` the entropy rate, the cycle known, is
/// `−q ln q − (SYMBOLS − 1) r ln r` = 0.9903 nats. Who does not look at the context loses `ln SYMBOLS` = 2.7726.
///
/// Why not blocks of random length, each said twice? Such texts teach first which symbols a block has, without their order;
/// small models then stay there for very long. And with fewer symbols small models sometimes find another way than induction.
pub fn copy() -> Vec<u8> {
    let mut random = random("control_copy");
    let mut cycle: Vec<u8> = (0..SYMBOLS).collect();
    let mut successor = [0; SYMBOLS as usize];
    let mut symbols: Vec<u8> = Vec::with_capacity(LENGTH);
    for position in 0..LENGTH {
        if position.is_multiple_of(STRETCH) {
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

/// The bytes of another text in random order: as frequent as there, and nothing follows from anything. The entropy rate is
/// that of the frequencies, `−Σ p ln p`.
pub fn shuffled(text: &[u8]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    bytes.shuffle(&mut random("control_shuffled"));
    bytes
}

/// Symbols as they are written: by characters from `0` on.
fn written(mut symbols: Vec<u8>) -> Vec<u8> {
    symbols.iter_mut().for_each(|symbol| *symbol += b'0');
    symbols
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of characters that are what `predict` makes of the text so far, where it makes something of it.
    fn predicted(text: &[u8], predict: impl Fn(&[u8]) -> Option<u8>) -> f64 {
        let right = (0..text.len()).filter_map(|end| Some(predict(&text[..end])? == text[end]));
        let right: Vec<bool> = right.collect();
        right.iter().filter(|right| **right).count() as f64 / right.len() as f64
    }

    #[test]
    fn a_character_follows_from_the_one_six_before_and_from_no_other() {
        let text = lag();
        assert_eq!(text.len(), LENGTH);
        let turned = |symbol: u8| (symbol - b'0' + TURN) % SYMBOLS + b'0';
        // Twice as far lies the character that must be turned twice, and so on.
        for distance in (1..=4 * LAG).filter(|distance| *distance == LAG || !distance.is_multiple_of(LAG)) {
            let share = predicted(&text, |before| Some(turned(before[before.len().checked_sub(distance)?])));
            // Of a million draws with probability 0.906 or 0.063: their standard errors are 0.0003.
            let expected = if distance == LAG { 0.9 + 0.1 / 16.0 } else { 1.0 / 16.0 };
            assert!((share - expected).abs() < 0.002, "distance {distance}: {share}");
        }
    }

    #[test]
    fn what_followed_before_follows_again_and_nothing_else_tells() {
        let text = copy();
        assert_eq!(text.len(), LENGTH);
        let share_within = |predict: &dyn Fn(&[u8]) -> Option<u8>| {
            let stretches = text.chunks(STRETCH).map(|stretch| predicted(stretch, predict));
            stretches.sum::<f64>() / text.len().div_ceil(STRETCH) as f64
        };
        // With r = 0.2 / 16, both times the cycle: (0.8 + r)². Both times another symbol, the same one: 15 r².
        let again = share_within(&|before| {
            let (current, earlier) = before.split_last()?;
            earlier.iter().rposition(|symbol| symbol == current).map(|place| before[place + 1])
        });
        assert!((again - 0.662).abs() < 0.005, "{again}");
        // Where no random character came between, a symbol stands 16 characters after itself: 1/16 + 15/16 · 0.8¹⁶ = 0.089.
        for distance in 1..=2 * usize::from(SYMBOLS) {
            let share = share_within(&|before| Some(before[before.len().checked_sub(distance)?]));
            assert!(share < 0.10, "distance {distance}: {share}");
        }
        // Over the whole text every symbol follows every other about as often.
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
    fn entropies_are_those_that_the_documentation_says() {
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
