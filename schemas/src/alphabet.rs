//! The vocabulary in memory: what turns text into tokens and tokens into text.
//!
//! A token is a string of bytes: the UTF-8 of one character where a dataset is read as text, one byte where it is read as bytes.
//! So a text is the bytes of its tokens one after the other, whatever the dataset, and where these are no valid UTF-8, as after
//! half a character, U+FFFD stands for them.

use std::collections::HashMap;
use std::fmt;

use crate::tables::Vocabulary;

/// What one token is, in words for people.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Unit {
    /// A Unicode character.
    #[default]
    Character,
    /// A byte.
    Byte,
    /// A string of any length.
    Token,
}

impl Unit {
    /// The same with this unit in place of characters, in a unit of a column or a sentence: `nats per character` is `nats per
    /// byte` in a dataset of bytes.
    pub fn in_place_of_character(self, text: &str) -> String {
        text.replace("character", &self.to_string())
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Character => "character",
            Self::Byte => "byte",
            Self::Token => "token",
        })
    }
}

impl Vocabulary {
    /// The row of a token of these bytes.
    pub fn row(token: u16, bytes: Vec<u8>, train_count: u64) -> Self {
        let code_point = match (std::str::from_utf8(&bytes).map(|text| text.chars().collect::<Vec<_>>()), &bytes[..]) {
            (Ok(characters), _) => {
                characters.first().filter(|_| characters.len() == 1).map(|&character| character.into())
            }
            (Err(_), &[byte]) => Some(byte.into()),
            (Err(_), _) => None,
        };
        Self { token, symbol: symbol_text(&bytes), bytes, code_point, train_count }
    }

    /// The rows of these characters, numbered in their order, each of which occurs so often.
    pub fn of_characters(characters: &str, train_count: u64) -> Vec<Self> {
        let row = |(token, character): (u16, char)| Self::row(token, character.to_string().into_bytes(), train_count);
        (0..=u16::MAX).zip(characters.chars()).map(row).collect()
    }
}

/// The symbols of a dataset, numbered by their tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alphabet {
    symbols: Vec<Vec<u8>>,
    tokens: HashMap<Vec<u8>, u16>,
    longest: usize,
}

impl Alphabet {
    /// The alphabet of a vocabulary, whose rows are sorted by token.
    pub fn new(vocabulary: &[Vocabulary]) -> Self {
        let symbols: Vec<Vec<u8>> = vocabulary.iter().map(|row| row.bytes.clone()).collect();
        let tokens = vocabulary.iter().map(|row| (row.bytes.clone(), row.token)).collect();
        let longest = symbols.iter().map(Vec::len).max().unwrap_or(0);
        Self { symbols, tokens, longest }
    }

    /// The number of symbols.
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Whether there is no symbol.
    pub fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// What one token is. A byte of ASCII is a character, so ASCII that is read as bytes has characters.
    pub fn unit(&self) -> Unit {
        let is_character = |symbol: &Vec<u8>| std::str::from_utf8(symbol).is_ok_and(|text| text.chars().count() == 1);
        if self.symbols.iter().all(is_character) {
            Unit::Character
        } else if self.longest <= 1 {
            Unit::Byte
        } else {
            Unit::Token
        }
    }

    /// The bytes of tokens, all of which are below [`Alphabet::len`].
    pub fn bytes(&self, tokens: &[u16]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(tokens.len());
        tokens.iter().for_each(|&token| bytes.extend(&self.symbols[usize::from(token)]));
        bytes
    }

    /// The text of tokens, all of which are below [`Alphabet::len`]; U+FFFD stands for what is no valid UTF-8.
    pub fn decode(&self, tokens: &[u16]) -> String {
        text(self.bytes(tokens))
    }

    /// The tokens of a text: at each place that of the longest symbol that the text goes on with.
    ///
    /// # Errors
    /// The first character that no symbol covers.
    pub fn encode(&self, text: &str) -> Result<Vec<u16>, char> {
        let (bytes, mut at, mut tokens) = (text.as_bytes(), 0, Vec::new());
        while at < bytes.len() {
            let most = self.longest.min(bytes.len() - at);
            let next = (1..=most).rev().find_map(|length| Some((length, *self.tokens.get(&bytes[at..at + length])?)));
            let Some((length, token)) = next else {
                let containing = text.char_indices().take_while(|(start, _)| *start <= at).last();
                return Err(containing.map_or(char::REPLACEMENT_CHARACTER, |(_, character)| character));
            };
            tokens.push(token);
            at += length;
        }
        Ok(tokens)
    }

    /// The prompt used by default: a space if the vocabulary has one, else a line break, else the first symbol.
    pub fn default_prompt(&self) -> Vec<u16> {
        vec![[" ", "\n"].iter().find_map(|start| self.tokens.get(start.as_bytes()).copied()).unwrap_or(0)]
    }

    /// A label for each of some consecutive tokens, all of which are below [`Alphabet::len`], such as those of a window: visible
    /// and short. Of a character of several tokens the first has the character and the others a dot.
    pub fn labels(&self, tokens: &[u16]) -> Vec<String> {
        let bytes = self.bytes(tokens);
        let mut labels = Vec::with_capacity(tokens.len());
        // Where the character that was labelled last ends.
        let (mut at, mut labelled) = (0, 0);
        for &token in tokens {
            let symbol = &self.symbols[usize::from(token)];
            let character = first_character(&bytes[at..]).filter(|character| character.len_utf8() > symbol.len());
            labels.push(match character {
                _ if at < labelled && at + symbol.len() <= labelled => "·".to_owned(),
                Some(character) => {
                    labelled = at + character.len_utf8();
                    character.to_string()
                }
                None => label(symbol),
            });
            at += symbol.len();
        }
        labels
    }
}

/// The character that some bytes begin with, if they begin with one.
fn first_character(bytes: &[u8]) -> Option<char> {
    let start = &bytes[..bytes.len().min(4)];
    let valid = std::str::from_utf8(start).or_else(|error| std::str::from_utf8(&start[..error.valid_up_to()]));
    valid.ok()?.chars().next()
}

/// A token's bytes as a label: a space as `␣`, other characters that nothing is drawn for as escapes (`\n`, `\u{feff}`), bytes that
/// are no character as `\xc3`.
pub fn label(symbol: &[u8]) -> String {
    match std::str::from_utf8(symbol) {
        Ok(text) => {
            text.chars().map(|character| if character == ' ' { "␣".to_owned() } else { shown(character) }).collect()
        }
        Err(_) => symbol_text(symbol),
    }
}

/// A character, escaped where nothing would be drawn for it.
fn shown(character: char) -> String {
    let unseen = character.is_control() || character.is_whitespace() && character != ' ' || character == '\u{feff}';
    if unseen { character.escape_default().to_string() } else { character.to_string() }
}

/// A token's bytes as the column `symbol` has them: the text that they are; of what is no valid UTF-8, each byte as `\xc3`.
pub fn symbol_text(symbol: &[u8]) -> String {
    match std::str::from_utf8(symbol) {
        Ok(text) => text.to_owned(),
        Err(_) => symbol.iter().map(|byte| format!("\\x{byte:02x}")).collect(),
    }
}

/// Bytes as text, without a copy where they are valid UTF-8.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Decodes consecutive parts of a text, which may part a character.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The bytes of a character that has begun.
    begun: Vec<u8>,
}

impl Parts {
    /// The text of the next part, without a character that has only begun in it.
    pub fn decode(&mut self, alphabet: &Alphabet, tokens: &[u16]) -> String {
        let mut bytes = std::mem::take(&mut self.begun);
        bytes.extend(alphabet.bytes(tokens));
        let last = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
        let has_begun = std::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
        if has_begun {
            self.begun = bytes.split_off(bytes.len() - last.len());
        }
        text(bytes)
    }

    /// The text of what had begun when the parts ended.
    pub fn finish(self) -> String {
        text(self.begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(symbols: &[&[u8]]) -> Alphabet {
        let row = |(token, bytes): (u16, &&[u8])| Vocabulary::row(token, bytes.to_vec(), 1);
        Alphabet::new(&(0..).zip(symbols).map(row).collect::<Vec<_>>())
    }

    fn characters(text: &str) -> Alphabet {
        Alphabet::new(&Vocabulary::of_characters(text, 1))
    }

    fn all_bytes() -> Alphabet {
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        of(&bytes.chunks(1).collect::<Vec<_>>())
    }

    #[test]
    fn decoding_inverts_encoding() {
        let alphabet = characters(" abé");
        assert_eq!(alphabet.encode("b éa"), Ok(vec![2, 0, 3, 1]));
        assert_eq!(alphabet.decode(&[2, 0, 3, 1]), "b éa");
        assert_eq!(alphabet.encode("bzx"), Err('z'));
        assert_eq!((alphabet.unit(), characters("").unit()), (Unit::Character, Unit::Character));
    }

    #[test]
    fn text_is_its_utf_8_where_bytes_are_read() {
        let bytes = all_bytes();
        let tokens = bytes.encode("Zażółć").expect("every byte is known");
        assert_eq!(tokens, "Zażółć".bytes().map(u16::from).collect::<Vec<_>>());
        assert_eq!((bytes.decode(&tokens), bytes.unit()), ("Zażółć".to_owned(), Unit::Byte));
        // Half a character, and a byte that none has.
        assert_eq!(bytes.decode(&[0xc5, 0x41, 0xff]), "\u{fffd}A\u{fffd}");
        assert_eq!(bytes.bytes(&[0xc5, 0x41, 0xff]), [0xc5, 0x41, 0xff]);
        let few = of(&[b"Z", b"\xc5"]);
        assert_eq!(few.encode("ZżZ"), Err('ż'), "its second byte is unknown");
    }

    #[test]
    fn tokens_may_be_of_any_length() {
        let pairs = of(&[b"a", b"b", b"ab", b"\xc5\xbca"]);
        assert_eq!(pairs.encode("aabża"), Ok(vec![0, 2, 3]));
        assert_eq!((pairs.decode(&[2, 3]), pairs.unit()), ("abża".to_owned(), Unit::Token));
    }

    #[test]
    fn every_token_has_a_visible_label() {
        let bytes = all_bytes();
        let tokens: Vec<u16> = b"a \n\xc5\xbc\xff\xe2\x82".iter().map(|&byte| byte.into()).collect();
        assert_eq!(bytes.labels(&tokens), ["a", "␣", "\\n", "ż", "·", "\\xff", "\\xe2", "\\x82"]);
        assert_eq!(characters("é\u{feff}\r中").labels(&[0, 1, 2, 3]), ["é", "\\u{feff}", "\\r", "中"]);
        assert_eq!(of(&[b"a b", b"\xc5", b"\xbc!"]).labels(&[0, 1, 2]), ["a␣b", "ż", "\\xbc\\x21"]);
    }

    #[test]
    fn a_row_says_what_its_token_is() {
        let row = |bytes: &[u8]| {
            let row = Vocabulary::row(3, bytes.to_vec(), 7);
            (row.symbol, row.code_point)
        };
        assert_eq!(row("中".as_bytes()), ("中".to_owned(), Some(0x4e2d)));
        assert_eq!(row(b"\xc5"), ("\\xc5".to_owned(), Some(0xc5)));
        assert_eq!([row(b"ab"), row(b"a\xff")].map(|(symbol, point)| (symbol.len(), point)), [(2, None), (8, None)]);
    }

    #[test]
    fn units_replace_characters() {
        assert_eq!(Unit::Byte.in_place_of_character("nats per character"), "nats per byte");
        assert_eq!(Unit::Token.in_place_of_character("characters"), "tokens");
    }

    #[test]
    fn parts_may_part_a_character() {
        let (bytes, whole) = (all_bytes(), "aż中😀b");
        let tokens: Vec<u16> = [whole.as_bytes(), b"\xff\xc5"].concat().iter().map(|&byte| byte.into()).collect();
        for length in 1..=tokens.len() {
            let mut parts = Parts::default();
            let mut text: String = tokens.chunks(length).map(|part| parts.decode(&bytes, part)).collect();
            text += &parts.finish();
            assert_eq!(text, format!("{whole}\u{fffd}\u{fffd}"), "in parts of {length}");
        }
    }

    #[test]
    fn the_default_prompt_is_a_space_a_line_break_or_the_first_symbol() {
        assert_eq!(characters("\n a").default_prompt(), [1]);
        assert_eq!(characters("!\na").default_prompt(), [1]);
        assert_eq!(characters("abc").default_prompt(), [0]);
    }
}
