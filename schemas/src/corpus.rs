//! The tokens of a text, checked against its vocabulary.

use crate::tables::Corpus;
use crate::{Error, Reader};

impl Reader<Corpus> {
    /// The tokens of the whole split.
    ///
    /// # Errors
    /// As [`Reader::group_tokens`].
    pub fn tokens(&self, symbols: usize) -> Result<Vec<u16>, Error> {
        // Not with the capacity that the footer says, which a hostile one says wrongly.
        let mut tokens = Vec::new();
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

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use parquet::file::metadata::{FileMetaData, ParquetMetaDataBuilder, ParquetMetaDataReader, ParquetMetaDataWriter};

    use super::*;
    use crate::enums::Split;
    use crate::{Artifacts, Partition, Provenance, checksum};

    fn split() -> Partition {
        Partition::dataset("text8").split(Split::Val)
    }

    fn study() -> (tempfile::TempDir, Artifacts) {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::new(folder.path());
        let made = Provenance::new("prep", 1, serde_json::json!({}));
        artifacts.write(&split(), &made, &[0, 1, 2].map(|token| Corpus { token })).unwrap();
        (folder, artifacts)
    }

    #[test]
    fn a_token_beyond_the_vocabulary_is_refused() {
        let (_folder, artifacts) = study();
        let corpus = artifacts.open::<Corpus>(&split()).unwrap();
        assert_eq!(corpus.tokens(3).unwrap(), [0, 1, 2]);
        let error = corpus.tokens(2).unwrap_err().to_string();
        assert!(
            error.contains("column `token`: expected tokens below 2, the size of the vocabulary, found 2"),
            "{error}"
        );
    }

    #[test]
    fn no_memory_is_taken_for_rows_that_only_the_footer_has() {
        const ROWS: i64 = 1 << 62;
        let (_folder, artifacts) = study();
        let path = artifacts.path::<Corpus>(&split()).unwrap();
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&File::open(&path).unwrap()).unwrap();
        let (said, groups) = (metadata.file_metadata(), metadata.row_groups().iter().cloned());
        let groups = groups.map(|group| group.into_builder().set_num_rows(ROWS).build().unwrap()).collect();
        let pairs = said.key_value_metadata().cloned();
        let said = FileMetaData::new(said.version(), ROWS, None, pairs, said.schema_descr_ptr(), None);
        let mut bytes = fs::read(&path).unwrap();
        let length = u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap());
        bytes.truncate(bytes.len() - 8 - length as usize);
        let hostile = ParquetMetaDataBuilder::new(said).set_row_groups(groups).build();
        ParquetMetaDataWriter::new(&mut bytes, &hostile).finish().unwrap();
        fs::write(&path, bytes).unwrap();
        checksum::reseal(&mut File::options().read(true).write(true).open(&path).unwrap()).unwrap();
        let corpus = artifacts.open::<Corpus>(&split()).unwrap();
        assert_eq!(corpus.rows(), ROWS as usize);
        assert!(corpus.tokens(3).is_err());
    }
}
