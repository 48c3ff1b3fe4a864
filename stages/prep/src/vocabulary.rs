//! The vocabulary of a text: its symbols, numbered by code point, or the alphabet of a model that was trained elsewhere.

use schemas::tables::Corpus;

use crate::reading::{Splits, Text};

/// Symbols that tokens, which are `u16`, can number.
pub const MOST_SYMBOLS: usize = 1 << 16;

/// The symbols of a text, and the token of each character.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    rows: Vec<schemas::tables::Vocabulary>,
    /// The token of each code point.
    tokens: Vec<u16>,
}

impl Vocabulary {
    /// The vocabulary of all splits, in one pass over them.
    ///
    /// # Errors
    /// The number of symbols, if it is more than [`MOST_SYMBOLS`].
    pub fn of(splits: &Splits<'_>) -> Result<Self, usize> {
        let train = counts(&[splits.train]);
        let rest = counts(&[splits.val, splits.test]);
        let present: Vec<u32> =
            (0..).zip(train.iter().zip(&rest)).filter(|(_, (a, b))| **a + **b > 0).map(|(point, _)| point).collect();
        if present.len() > MOST_SYMBOLS {
            return Err(present.len());
        }
        let mut tokens = vec![0; train.len()];
        let rows = (0..=u16::MAX)
            .zip(present)
            .map(|(token, code_point)| {
                tokens[code_point as usize] = token;
                let symbol = char::from_u32(code_point).expect("it was counted as a `char`").to_string();
                schemas::tables::Vocabulary { token, symbol, code_point, train_count: train[code_point as usize] }
            })
            .collect();
        Ok(Self { rows, tokens })
    }

    /// The vocabulary that an alphabet is, numbered by its order.
    ///
    /// # Errors
    /// A character of the text that is not in the alphabet, and its position among the characters of all splits.
    pub fn with_alphabet(splits: &Splits<'_>, alphabet: &[char]) -> Result<Self, (char, usize)> {
        let train = counts(&[splits.train]);
        let mut tokens = vec![0; train.len()];
        let mut known = vec![false; train.len()];
        let rows = (0..=u16::MAX)
            .zip(alphabet)
            .map(|(token, symbol)| {
                let code_point = u32::from(*symbol);
                (tokens[code_point as usize], known[code_point as usize]) = (token, true);
                let train_count = train[code_point as usize];
                schemas::tables::Vocabulary { token, symbol: symbol.to_string(), code_point, train_count }
            })
            .collect();
        let parts = splits.named().map(|(_, part)| part);
        match parts.iter().flat_map(Text::code_points).enumerate().find(|(_, point)| !known[*point as usize]) {
            None => Ok(Self { rows, tokens }),
            Some((position, point)) => Err((char::from_u32(point).unwrap_or_default(), position)),
        }
    }

    /// The symbols, in the order of their tokens.
    pub fn rows(&self) -> &[schemas::tables::Vocabulary] {
        &self.rows
    }

    /// The text as rows of `corpus`.
    pub fn encode(&self, text: Text<'_>) -> Vec<Corpus> {
        let row = |point: u32| Corpus { token: self.tokens[point as usize] };
        match text {
            Text::Utf8(text) => text.chars().map(|character| row(character.into())).collect(),
            Text::Bytes(bytes) => bytes.iter().map(|&byte| row(byte.into())).collect(),
        }
    }
}

/// The number of occurrences of each Unicode code point.
fn counts(parts: &[Text<'_>]) -> Vec<u64> {
    let mut counts = vec![0; char::MAX as usize + 1];
    for part in parts {
        match part {
            Text::Utf8(text) => text.chars().for_each(|character| counts[character as usize] += 1),
            Text::Bytes(bytes) => bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1),
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(vocabulary: &Vocabulary, text: Text<'_>) -> Vec<u16> {
        vocabulary.encode(text).iter().map(|row| row.token).collect()
    }

    #[test]
    fn symbols_are_sorted_and_counted_in_the_train_split() {
        let splits = Splits::of(Text::Utf8("bé a bb€"), 0.75, 0.25);
        let vocabulary = Vocabulary::of(&splits).expect("few symbols");
        let rows: Vec<_> = vocabulary
            .rows()
            .iter()
            .map(|row| (row.token, row.symbol.as_str(), row.code_point, row.train_count))
            .collect();
        assert_eq!(rows, [(0, " ", 32, 2), (1, "a", 97, 1), (2, "b", 98, 2), (3, "é", 233, 1), (4, "€", 8364, 0)]);
        assert_eq!(tokens(&vocabulary, splits.train), [2, 3, 0, 1, 0, 2]);
        assert_eq!(tokens(&vocabulary, splits.val), [2, 4]);
        assert!(tokens(&vocabulary, splits.test).is_empty());
    }

    #[test]
    fn an_alphabet_keeps_its_order_and_refuses_other_characters() {
        let splits = Splits::of(Text::Utf8("bé a bb€"), 0.75, 0.25);
        let vocabulary = Vocabulary::with_alphabet(&splits, &['€', 'z', 'b', ' ', 'a', 'é']).expect("all are in it");
        let counts: Vec<_> = vocabulary.rows().iter().map(|row| (row.symbol.as_str(), row.train_count)).collect();
        assert_eq!(counts, [("€", 0), ("z", 0), ("b", 2), (" ", 2), ("a", 1), ("é", 1)]);
        assert_eq!(tokens(&vocabulary, splits.val), [2, 0]);
        let refused = Vocabulary::with_alphabet(&splits, &['b', ' ', 'a', 'é']).map(|_| ());
        assert_eq!(refused, Err(('€', 7)));
    }

    #[test]
    fn a_byte_is_its_latin_1_character() {
        let splits = Splits::of(Text::Bytes(&[0xc3, 0xa9, 0xff, 0]), 0.5, 0.5);
        let vocabulary = Vocabulary::of(&splits).expect("few symbols");
        let symbols: String = vocabulary.rows().iter().map(|row| row.symbol.as_str()).collect();
        assert_eq!(symbols, "\0©Ãÿ");
    }

    #[test]
    fn the_largest_vocabulary_uses_every_token() {
        let characters = || ('\u{20}'..).filter(|character| !character.is_control());
        let most: String = characters().take(MOST_SYMBOLS).collect();
        let vocabulary = Vocabulary::of(&Splits::of(Text::Utf8(&most), 0.9, 0.1)).expect("as many as there are tokens");
        assert_eq!(vocabulary.rows().last().map(|row| row.token), Some(u16::MAX));
        let more: String = characters().take(MOST_SYMBOLS + 1).collect();
        let refused = Vocabulary::of(&Splits::of(Text::Utf8(&more), 0.9, 0.1));
        assert_eq!(refused.map(|_| ()).expect_err("one too many"), MOST_SYMBOLS + 1);
    }
}
