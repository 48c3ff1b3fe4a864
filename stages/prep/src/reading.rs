//! The symbols of a text and its splits. The text stays in memory as it was read, one to four bytes per symbol.

use std::borrow::Cow;

use schemas::Alphabet;
use schemas::enums::Split;

/// A text, or a part of one. What is said of its characters below is true of its bytes or tokens, where it consists of these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Text<'text> {
    /// Characters are code points.
    Utf8(&'text str),
    /// Characters are bytes.
    Bytes(&'text [u8]),
    /// Characters are tokens, each of which is in the alphabet.
    Tokens(&'text [u16], &'text Alphabet),
}

impl<'text> Text<'text> {
    /// A text of these bytes, which is UTF-8.
    ///
    /// # Errors
    /// The offset of the first byte that is not valid UTF-8.
    pub fn utf8(bytes: &'text [u8]) -> Result<Self, usize> {
        match bytes.is_ascii() {
            // The same characters, and faster.
            true => Ok(Text::Bytes(bytes)),
            false => std::str::from_utf8(bytes).map(Text::Utf8).map_err(|error| error.valid_up_to()),
        }
    }

    /// The number of characters.
    pub fn characters(&self) -> usize {
        match self {
            Text::Utf8(text) => text.chars().count(),
            Text::Bytes(bytes) => bytes.len(),
            Text::Tokens(tokens, _) => tokens.len(),
        }
    }

    /// The number of each character: a code point, a byte's value, or a token.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + use<'text> {
        let (text, bytes, tokens): (&str, &[u8], &[u16]) = match *self {
            Text::Utf8(text) => (text, &[], &[]),
            Text::Bytes(bytes) => ("", bytes, &[]),
            Text::Tokens(tokens, _) => ("", &[], tokens),
        };
        text.chars()
            .map(u32::from)
            .chain(bytes.iter().copied().map(u32::from))
            .chain(tokens.iter().copied().map(u32::from))
    }

    /// The bytes that it is, or that its tokens stand for.
    pub fn bytes(&self) -> Cow<'text, [u8]> {
        match *self {
            Text::Utf8(text) => Cow::Borrowed(text.as_bytes()),
            Text::Bytes(bytes) => Cow::Borrowed(bytes),
            Text::Tokens(tokens, alphabet) => Cow::Owned(alphabet.bytes(tokens)),
        }
    }

    /// The first `characters` characters, and the rest.
    fn split_at(self, characters: usize) -> (Self, Self) {
        match self {
            Text::Utf8(text) => {
                let end = text.char_indices().nth(characters).map_or(text.len(), |(position, _)| position);
                let (head, tail) = text.split_at(end);
                (Text::Utf8(head), Text::Utf8(tail))
            }
            Text::Bytes(bytes) => {
                let (head, tail) = bytes.split_at(characters.min(bytes.len()));
                (Text::Bytes(head), Text::Bytes(tail))
            }
            Text::Tokens(tokens, alphabet) => {
                let (head, tail) = tokens.split_at(characters.min(tokens.len()));
                (Text::Tokens(head, alphabet), Text::Tokens(tail, alphabet))
            }
        }
    }

    /// Consecutive chunks of `characters` characters, of which the last may be shorter; none of an empty text.
    pub fn chunks(self, characters: usize) -> Vec<Self> {
        let (mut chunks, mut rest) = (Vec::new(), self);
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(characters);
            chunks.push(chunk);
            rest = after;
        }
        chunks
    }

    fn is_empty(self) -> bool {
        match self {
            Text::Utf8(text) => text.is_empty(),
            Text::Bytes(bytes) => bytes.is_empty(),
            Text::Tokens(tokens, _) => tokens.is_empty(),
        }
    }

    /// The text's segments, at most `most` of them and evenly spaced: of `n` segments those with numbers `⌊i·n/most⌋`, `i` below
    /// `most`; all of them if `n` is not larger. Bytes are read as UTF-8, with U+FFFD for what is none.
    pub fn segments(&self, most: usize) -> Segments<'text> {
        let text = match self {
            Text::Utf8(text) => Cow::Borrowed(*text),
            Text::Bytes(bytes) => String::from_utf8_lossy(bytes),
            Text::Tokens(tokens, alphabet) => Cow::Owned(alphabet.decode(tokens)),
        };
        let spaced = |count: usize| {
            let taken = count.min(most);
            (0..taken).map(move |segment| segment * count / taken)
        };
        match text {
            Cow::Borrowed(text) => {
                let all = term_weighting::segments(text);
                let taken = spaced(all.len()).map(|segment| Cow::Borrowed(all[segment])).collect();
                Segments { all: all.len(), taken }
            }
            Cow::Owned(text) => {
                let all = term_weighting::segments(&text);
                let taken = spaced(all.len()).map(|segment| Cow::Owned(all[segment].to_owned())).collect();
                Segments { all: all.len(), taken }
            }
        }
    }
}

/// Segments of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Segments<'text> {
    /// How many the text has.
    pub all: usize,
    /// Those that are looked at.
    pub taken: Vec<Cow<'text, str>>,
}

/// The three splits of a text, which follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Splits<'text> {
    /// The train split.
    pub train: Text<'text>,
    /// The validation split.
    pub val: Text<'text>,
    /// The test split, the rest; may be empty.
    pub test: Text<'text>,
}

impl<'text> Splits<'text> {
    /// Splits a text of `n` characters at `⌊n·train⌋` and `⌊n·(train + val)⌋`.
    pub fn of(text: Text<'text>, train_fraction: f64, val_fraction: f64) -> Self {
        let characters = text.characters();
        // Decimal fractions are inexact: without the margin, 0.9 + 0.1 of a text would lack its last character. From float to
        // integer, `as` saturates.
        let end = |fraction: f64| ((characters as f64 * fraction + 1e-6) as usize).min(characters);
        let (train, rest) = text.split_at(end(train_fraction));
        let (val, test) = rest.split_at(end(train_fraction + val_fraction).saturating_sub(end(train_fraction)));
        Self { train, val, test }
    }

    /// The splits with their names.
    pub fn named(&self) -> [(Split, Text<'text>); 3] {
        [(Split::Train, self.train), (Split::Val, self.val), (Split::Test, self.test)]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn built_in_datasets_have_the_published_splits() {
        for (characters, fractions, expected) in [
            (1_115_394, (0.9, 0.1), [1_003_854, 111_540, 0]),
            (100_000_000, (0.9, 0.05), [90_000_000, 5_000_000, 5_000_000]),
            (100, (0.7, 0.2), [70, 20, 10]),
        ] {
            let bytes = vec![b'a'; characters];
            let splits = Splits::of(Text::Bytes(&bytes), fractions.0, fractions.1);
            assert_eq!(splits.named().map(|(_, part)| part.characters()), expected);
        }
    }

    #[test]
    fn invalid_utf8_is_reported_by_its_offset() {
        assert_eq!(Text::utf8(b"ab\xffc"), Err(2));
        assert_eq!(Text::utf8("aé".as_bytes()), Ok(Text::Utf8("aé")));
        assert_eq!(Text::utf8(b"ab"), Ok(Text::Bytes(b"ab")));
    }

    #[test]
    fn segments_are_evenly_spaced() {
        let text: String = (0..10).map(|digit| digit.to_string().repeat(100)).collect();
        for (most, expected) in [(4, "0257"), (10, "0123456789"), (99, "0123456789")] {
            for text in [Text::Utf8(&text), Text::Bytes(text.as_bytes())] {
                let firsts: String = text.segments(most).taken.iter().map(|segment| &segment[..1]).collect();
                assert_eq!(firsts, expected);
            }
        }
        let short = [b'a'; 149];
        assert_eq!((Text::Bytes(&short).segments(5).all, Text::Bytes(&short).segments(5).taken.len()), (1, 1));
        // 60 characters are 120 bytes; half a character more is not one.
        let bytes = ["é".repeat(60).as_bytes(), &[0xc3]].concat();
        assert_eq!(Text::Bytes(&bytes).segments(5).taken, [format!("{}\u{fffd}", "é".repeat(60))]);
    }

    #[test]
    fn tokens_are_split_by_their_number_and_read_as_their_text() {
        let symbols = ["to ", "be ", "\u{e9}"].map(|symbol| symbol.as_bytes().to_vec());
        let rows: Vec<_> =
            (0..).zip(symbols).map(|(token, bytes)| schemas::tables::Vocabulary::row(token, bytes, 0)).collect();
        let alphabet = Alphabet::new(&rows);
        let tokens = [0, 1, 0, 2];
        let splits = Splits::of(Text::Tokens(&tokens, &alphabet), 0.75, 0.25);
        assert_eq!(splits.named().map(|(_, part)| part.characters()), [3, 1, 0]);
        assert_eq!(&*splits.train.bytes(), b"to be to ");
        assert_eq!(Text::Tokens(&[2; 100], &alphabet).segments(9).taken, ["é".repeat(100)]);
        assert_eq!(splits.train.numbers().collect::<Vec<_>>(), [0, 1, 0]);
    }

    proptest! {
        #[test]
        fn chunks_are_the_text_in_order(text in "[ab]{0,9}|\\PC{0,60}", characters in 1usize..9) {
            for read in [Text::Utf8(&text), Text::utf8(text.as_bytes()).expect("it is UTF-8")] {
                let chunks = read.chunks(characters);
                let whole = chunks.len().saturating_sub(1);
                prop_assert!(chunks[..whole].iter().all(|chunk| chunk.characters() == characters));
                prop_assert!(chunks[whole..].iter().all(|chunk| (1..=characters).contains(&chunk.characters())));
                let joined: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.bytes().into_owned()).collect();
                prop_assert_eq!(joined, text.as_bytes());
            }
        }

        #[test]
        fn splits_lose_and_add_nothing(text in "\\PC{0,300}", train in 0.0..1.0f64, share in 0.0..1.0f64) {
            let splits = Splits::of(Text::Utf8(&text), train, share * (1.0 - train));
            let joined: Vec<u8> = splits.named().iter().flat_map(|(_, part)| part.bytes().into_owned()).collect();
            prop_assert_eq!(joined, text.as_bytes());
        }
    }
}
