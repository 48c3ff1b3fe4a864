//! The mapping between symbols and tokens.

use std::collections::HashMap;

use schemas::tables::Vocabulary;

/// The symbols of a dataset, which encode text as tokens and decode tokens to text.
pub struct Alphabet {
    symbols: Vec<String>,
    tokens: HashMap<String, u16>,
}

impl Alphabet {
    /// The alphabet of a vocabulary, whose rows are sorted by token.
    pub fn new(vocabulary: &[Vocabulary]) -> Self {
        let symbols: Vec<String> = vocabulary.iter().map(|row| row.symbol.clone()).collect();
        let tokens = vocabulary.iter().map(|row| (row.symbol.clone(), row.token)).collect();
        Self { symbols, tokens }
    }

    /// The number of symbols.
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Whether there is no symbol.
    pub fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// The text of tokens, all of which are below [`Alphabet::len`].
    pub fn decode(&self, tokens: &[u16]) -> String {
        tokens.iter().map(|&token| self.symbols[usize::from(token)].as_str()).collect()
    }

    /// The tokens of a text.
    ///
    /// # Errors
    /// The first character that is not in the vocabulary.
    pub fn encode(&self, text: &str) -> Result<Vec<u16>, char> {
        let token = |character: char| self.tokens.get(character.to_string().as_str()).copied().ok_or(character);
        text.chars().map(token).collect()
    }

    /// The prompt used by default: a space if the vocabulary has one, else a line break, else the first symbol.
    pub fn default_prompt(&self) -> Vec<u16> {
        vec![[" ", "\n"].iter().find_map(|start| self.tokens.get(*start).copied()).unwrap_or(0)]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The alphabet of these symbols, numbered in their order.
    pub(crate) fn alphabet(symbols: &str) -> Alphabet {
        let row = |(token, symbol): (usize, char)| Vocabulary {
            token: token as u16,
            symbol: symbol.to_string(),
            code_point: symbol.into(),
            train_count: 1,
        };
        Alphabet::new(&symbols.chars().enumerate().map(row).collect::<Vec<_>>())
    }

    #[test]
    fn decoding_inverts_encoding() {
        let alphabet = alphabet(" abé");
        assert_eq!(alphabet.encode("b éa"), Ok(vec![2, 0, 3, 1]));
        assert_eq!(alphabet.decode(&[2, 0, 3, 1]), "b éa");
        assert_eq!(alphabet.encode("bzx"), Err('z'));
    }

    #[test]
    fn the_default_prompt_is_a_space_a_line_break_or_the_first_symbol() {
        assert_eq!(alphabet("\n a").default_prompt(), [1]);
        assert_eq!(alphabet("!\na").default_prompt(), [1]);
        assert_eq!(alphabet("abc").default_prompt(), [0]);
    }
}
