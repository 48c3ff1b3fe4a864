//! The tokens of a text, checked against its vocabulary.

use crate::tables::Corpus;
use crate::{Error, Reader};

impl Reader<Corpus> {
    /// The tokens of the whole split.
    ///
    /// # Errors
    /// As [`Reader::group_tokens`].
    pub fn tokens(&self, symbols: usize) -> Result<Vec<u16>, Error> {
        let mut tokens = Vec::with_capacity(self.rows());
        for group in 0..self.groups() {
            tokens.append(&mut self.group_tokens(group, symbols)?);
        }
        Ok(tokens)
    }

    /// The tokens of one row group.
    ///
    /// # Errors
    /// As [`Reader::group`]; [`Error::Column`] if a token is not one of a vocabulary of so many symbols.
    pub fn group_tokens(&self, group: usize, symbols: usize) -> Result<Vec<u16>, Error> {
        let tokens: Vec<u16> = self.group(group)?.into_iter().map(|row| row.token).collect();
        match tokens.iter().find(|token| usize::from(**token) >= symbols) {
            None => Ok(tokens),
            Some(token) => {
                let expected = format!("tokens below {symbols}, the size of the vocabulary");
                Err(self.unexpected("token", expected, token.to_string()))
            }
        }
    }
}
