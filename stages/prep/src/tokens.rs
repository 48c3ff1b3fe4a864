//! A text that comes as token numbers, such as subwords: what nanoGPT's `prepare.py` writes as `train.bin` and `val.bin`.

use declarations::Fault;
use schemas::Alphabet;
use schemas::tables::Vocabulary;

use crate::reading::Text;

/// Said where token numbers come without what they stand for.
pub(crate) const NEEDS_VOCABULARY: &str = "encoding tokens needs `vocabulary`, what each token stands for, such as the vocab.json of the tokenizer: \
                                           give both in an entry under `datasets` in pipeline.yaml, or as --encoding and --vocabulary of prep";

/// The tokens of a text, and what they stand for.
#[derive(Clone, Debug)]
pub struct Tokens {
    tokens: Vec<u16>,
    alphabet: Alphabet,
}

impl Tokens {
    /// Reads a file of 16-bit numbers, little-endian.
    ///
    /// # Errors
    /// An input fault for half a number, and for a token without a symbol.
    pub fn read(file: &str, bytes: &[u8], symbols: &[Vec<u8>]) -> Result<Self, Fault> {
        let (numbers, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(Fault::input(format!(
                "{file} has {} bytes, which are no 16-bit token numbers: give a file as nanoGPT's train.bin, or read it as a text \
                 by encoding utf8 or bytes",
                bytes.len()
            )));
        }
        let tokens: Vec<u16> = numbers.iter().copied().map(u16::from_le_bytes).collect();
        if let Some((position, token)) =
            tokens.iter().enumerate().find(|(_, token)| usize::from(**token) >= symbols.len())
        {
            return Err(Fault::input(format!(
                "{file} has the token {token} at position {position}, and `vocabulary` has the {} symbols 0 to {}: give that of \
                 the tokenizer which wrote the file",
                symbols.len(),
                symbols.len() - 1
            )));
        }
        let rows: Vec<Vocabulary> =
            (0..=u16::MAX).zip(symbols).map(|(token, bytes)| Vocabulary::row(token, bytes.clone(), 0)).collect();
        Ok(Self { tokens, alphabet: Alphabet::new(&rows) })
    }

    /// As a text.
    pub fn text(&self) -> Text<'_> {
        Text::Tokens(&self.tokens, &self.alphabet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_little_endian_and_have_symbols() {
        let symbols = [b"to ".to_vec(), b"be".to_vec()];
        let read =
            |bytes: &[u8]| Tokens::read("train.bin", bytes, &symbols).map(|tokens| tokens.text().bytes().into_owned());
        assert_eq!(read(&[0, 0, 1, 0, 0, 0]).ok(), Some(b"to beto ".to_vec()));
        for (bytes, said) in
            [(&[0, 0, 1][..], "has 3 bytes, which are no 16-bit"), (&[1, 0, 0, 1], "the token 256 at position 1")]
        {
            let fault = read(bytes).expect_err(said).to_string();
            assert!(fault.contains(said), "{fault}");
        }
    }
}
