//! The vocabulary of a text: its symbols, numbered by code point, or by value where they are bytes; or the alphabet of a model that
//! was trained elsewhere.

use nanogpt_files::MOST_SYMBOLS;
use schemas::tables::Corpus;

use crate::reading::{Splits, Text};

/// The symbols of a text, and the token of each character.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    rows: Vec<schemas::tables::Vocabulary>,
    /// The token of each character's number.
    tokens: Vec<u16>,
    unseen: [(u64, u64); 2],
}

impl Vocabulary {
    /// The vocabulary of all splits, in one pass over them: the symbols that occur or, where the text is tokens, all of their
    /// alphabet, which keep their numbers.
    ///
    /// # Errors
    /// The number of symbols, if it is more than [`MOST_SYMBOLS`].
    pub fn of(splits: &Splits<'_>) -> Result<Self, usize> {
        let train = counts(&[splits.train]);
        let rest = [counts(&[splits.val]), counts(&[splits.test])];
        let kept = match splits.train {
            Text::Tokens(_, alphabet) => alphabet.len(),
            Text::Utf8(_) | Text::Bytes(_) => 0,
        };
        let present: Vec<u32> = (0..)
            .zip(train.iter().zip(rest[0].iter().zip(&rest[1])))
            .filter(|(number, (train, (val, test)))| (*number as usize) < kept || **train + **val + **test > 0)
            .map(|(number, _)| number)
            .collect();
        if present.len() > MOST_SYMBOLS {
            return Err(present.len());
        }
        let mut tokens = vec![0; train.len()];
        let rows = (0..=u16::MAX)
            .zip(present)
            .map(|(token, number)| {
                tokens[number as usize] = token;
                let bytes = match splits.train {
                    Text::Utf8(_) => {
                        char::from_u32(number).expect("it was counted as a `char`").to_string().into_bytes()
                    }
                    Text::Bytes(_) => vec![u8::try_from(number).expect("it was counted as a byte")],
                    Text::Tokens(_, alphabet) => alphabet.bytes(&[token]),
                };
                schemas::tables::Vocabulary::row(token, bytes, train[number as usize])
            })
            .collect();
        Ok(Self { rows, tokens, unseen: rest.map(|counts| unseen(&train, &counts)) })
    }

    /// Of the validation and of the test split: the symbols that the train split lacks, and the positions that have them.
    pub fn unseen(&self) -> [(u64, u64); 2] {
        self.unseen
    }

    /// The vocabulary that an alphabet is: the number and the bytes of each of its characters, in the order of their tokens.
    ///
    /// # Errors
    /// The number of a character of the text that is not in the alphabet, and its position among the characters of all splits.
    pub fn with_alphabet(splits: &Splits<'_>, alphabet: &[(u32, Vec<u8>)]) -> Result<Self, (u32, usize)> {
        let train = counts(&[splits.train]);
        let mut tokens = vec![0; train.len()];
        let mut known = vec![false; train.len()];
        let rows = (0..=u16::MAX)
            .zip(alphabet)
            .map(|(token, (number, bytes))| {
                let number = *number as usize;
                (tokens[number], known[number]) = (token, true);
                schemas::tables::Vocabulary::row(token, bytes.clone(), train[number])
            })
            .collect();
        let parts = splits.named().map(|(_, part)| part);
        match parts.iter().flat_map(Text::numbers).enumerate().find(|(_, number)| !known[*number as usize]) {
            None => {
                let unseen = [splits.val, splits.test].map(|split| unseen(&train, &counts(&[split])));
                Ok(Self { rows, tokens, unseen })
            }
            Some((position, number)) => Err((number, position)),
        }
    }

    /// The symbols, in the order of their tokens.
    pub fn rows(&self) -> &[schemas::tables::Vocabulary] {
        &self.rows
    }

    /// The text as rows of `corpus`.
    pub fn encode(&self, text: Text<'_>) -> Vec<Corpus> {
        let row = |number: u32| Corpus { token: self.tokens[number as usize] };
        // One loop for each kind of text: this is the hot path of large ones.
        match text {
            Text::Utf8(text) => text.chars().map(|character| row(character.into())).collect(),
            Text::Bytes(bytes) => bytes.iter().map(|&byte| row(byte.into())).collect(),
            Text::Tokens(tokens, _) => tokens.iter().map(|&token| row(token.into())).collect(),
        }
    }
}

/// The symbols that the train split lacks and another one has, and how often that has them, from the counts of both.
fn unseen(train: &[u64], other: &[u64]) -> (u64, u64) {
    let unseen = train.iter().zip(other).filter(|(train, count)| **train == 0 && **count > 0);
    unseen.fold((0, 0), |(symbols, positions), (_, count)| (symbols + 1, positions + count))
}

/// The number of occurrences of each Unicode code point, byte or token.
fn counts(parts: &[Text<'_>]) -> Vec<u64> {
    let mut counts = vec![0; char::MAX as usize + 1];
    for part in parts {
        match part {
            Text::Utf8(text) => text.chars().for_each(|character| counts[character as usize] += 1),
            Text::Bytes(bytes) => bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1),
            Text::Tokens(tokens, _) => tokens.iter().for_each(|&token| counts[usize::from(token)] += 1),
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use schemas::Alphabet;

    use super::*;

    fn tokens(vocabulary: &Vocabulary, text: Text<'_>) -> Vec<u16> {
        vocabulary.encode(text).iter().map(|row| row.token).collect()
    }

    /// Token, symbol, code point and count of each row.
    fn said(vocabulary: &Vocabulary) -> Vec<(u16, &str, Option<u32>, u64)> {
        let rows = vocabulary.rows().iter();
        rows.map(|row| (row.token, row.symbol.as_str(), row.code_point, row.train_count)).collect()
    }

    #[test]
    fn symbols_are_sorted_and_counted_in_the_train_split() {
        let splits = Splits::of(Text::Utf8("bé a bb€"), 0.75, 0.25);
        let vocabulary = Vocabulary::of(&splits).expect("few symbols");
        assert_eq!(
            said(&vocabulary),
            [
                (0, " ", Some(32), 2),
                (1, "a", Some(97), 1),
                (2, "b", Some(98), 2),
                (3, "é", Some(233), 1),
                (4, "€", Some(8364), 0)
            ]
        );
        assert_eq!(tokens(&vocabulary, splits.train), [2, 3, 0, 1, 0, 2]);
        assert_eq!(tokens(&vocabulary, splits.val), [2, 4]);
        assert!(tokens(&vocabulary, splits.test).is_empty());
        assert_eq!(vocabulary.unseen(), [(1, 1), (0, 0)]);
        assert!(vocabulary.rows().iter().all(|row| row.bytes == row.symbol.as_bytes()));
    }

    #[test]
    fn an_alphabet_keeps_its_order_and_refuses_other_characters() {
        let splits = Splits::of(Text::Utf8("bé a bb€"), 0.75, 0.25);
        let alphabet = |symbols: &str| -> Vec<(u32, Vec<u8>)> {
            symbols.chars().map(|symbol| (symbol.into(), symbol.to_string().into_bytes())).collect()
        };
        let vocabulary = Vocabulary::with_alphabet(&splits, &alphabet("€zb aé")).expect("all are in it");
        let counts: Vec<_> = vocabulary.rows().iter().map(|row| (row.symbol.as_str(), row.train_count)).collect();
        assert_eq!(counts, [("€", 0), ("z", 0), ("b", 2), (" ", 2), ("a", 1), ("é", 1)]);
        assert_eq!(vocabulary.unseen(), [(1, 1), (0, 0)]);
        assert_eq!(tokens(&vocabulary, splits.val), [2, 0]);
        let refused = Vocabulary::with_alphabet(&splits, &alphabet("b aé")).map(|_| ());
        assert_eq!(refused, Err(('€'.into(), 7)));
    }

    #[test]
    fn tokens_keep_their_numbers_whether_or_not_they_occur() {
        let symbols = ["to ", "be ", "or "].map(|symbol| symbol.as_bytes().to_vec());
        let numbered = (0..).zip(symbols);
        let alphabet: Vec<_> =
            numbered.map(|(token, bytes)| schemas::tables::Vocabulary::row(token, bytes, 0)).collect();
        let alphabet = Alphabet::new(&alphabet);
        let splits = Splits::of(Text::Tokens(&[0, 2, 0, 1], &alphabet), 0.75, 0.25);
        let vocabulary = Vocabulary::of(&splits).expect("few symbols");
        assert_eq!(said(&vocabulary), [(0, "to ", None, 2), (1, "be ", None, 0), (2, "or ", None, 1)]);
        assert_eq!((tokens(&vocabulary, splits.train), vocabulary.unseen()), (vec![0, 2, 0], [(1, 1), (0, 0)]));
    }

    #[test]
    fn a_byte_that_is_no_character_is_escaped() {
        let splits = Splits::of(Text::Bytes(&[0xc3, 0xa9, b'a', 0]), 0.5, 0.5);
        let vocabulary = Vocabulary::of(&splits).expect("few symbols");
        let rows: Vec<_> =
            vocabulary.rows().iter().map(|row| (row.symbol.as_str(), row.bytes.as_slice(), row.code_point)).collect();
        let expected: [(&str, &[u8], u32); 4] =
            [("\0", &[0], 0), ("a", b"a", 97), ("\\xa9", &[0xa9], 0xa9), ("\\xc3", &[0xc3], 0xc3)];
        assert_eq!(rows, expected.map(|(symbol, bytes, value)| (symbol, bytes, Some(value))));
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
