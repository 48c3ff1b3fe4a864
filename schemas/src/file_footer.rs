//! What any file of the pipeline says about itself, without its rows.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use parquet::file::metadata::ParquetMetaDataReader;

use crate::checksum::Sums;
use crate::{Key, Partition, Provenance, footer};

/// The footer of a table's file, whichever table it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Footer {
    /// The table's name.
    pub table: String,
    /// The table's version.
    pub version: String,
    /// The values of its keys.
    pub partition: Partition,
    /// Who made it, with which parameters, from what.
    pub provenance: Provenance,
}

impl Footer {
    /// Reads a footer; none if the file is missing, is no Parquet file, or was not written by this pipeline.
    pub fn read(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).ok()?;
        let pairs = metadata.file_metadata().key_value_metadata().into_iter().flatten();
        let said: BTreeMap<String, String> =
            pairs.filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?))).collect();
        Some(Self {
            table: said.get(footer::NAME)?.clone(),
            version: said.get(footer::VERSION)?.clone(),
            partition: serde_json::from_str(said.get(footer::PARTITION)?).ok()?,
            provenance: Provenance::parse(&said),
        })
    }

    /// Whether a file is there, with a footer and with the checksum that the footer says.
    pub fn is_whole(path: &Path) -> bool {
        let sums = File::open(path).and_then(|mut file| Sums::of(&mut file));
        let is_sound = sums.is_ok_and(|sums| sums.crc32.is_none_or(|[said, found]| said == found));
        is_sound && Self::read(path).is_some()
    }

    /// Whether its keys are those of a path relative to the root, of its own run or of one that shares the file.
    pub fn belongs_at(&self, relative: &Path) -> bool {
        let folders: Vec<&str> =
            relative.parent().into_iter().flat_map(Path::iter).filter_map(|name| name.to_str()).collect();
        let [table, keys @ ..] = folders.as_slice() else { return false };
        let shared_by = |key: Key| if key == Key::Run { self.provenance.shared_by.as_slice() } else { &[] };
        let is_key = |folder: &&str| {
            let own = |key: &Key| {
                let values = self.partition.value(*key).into_iter().chain(shared_by(*key).iter().cloned());
                values.map(|value| format!("{key}={value}")).any(|own| own == **folder)
            };
            Key::ALL.iter().any(own)
        };
        let of_footer = Key::ALL.iter().filter(|key| self.partition.value(**key).is_some()).count();
        *table == self.table && keys.len() == of_footer && keys.iter().all(is_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Artifacts;
    use crate::enums::Split;
    use crate::tables::Corpus;

    #[test]
    fn a_footer_names_the_table_and_its_keys() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::new(folder.path());
        let partition = Partition::dataset("text8").split(Split::Val);
        let provenance = Provenance::new("prep", 1, serde_json::json!({"encoding": "utf8"}));
        artifacts.write(&partition, &provenance, &[Corpus { token: 3 }]).unwrap();
        let footer = Footer::read(&artifacts.path::<Corpus>(&partition).unwrap()).unwrap();
        assert_eq!((footer.table.as_str(), &footer.partition), ("corpus", &partition));
        assert_eq!(footer.provenance, provenance);
        let path = artifacts.path::<Corpus>(&partition).unwrap();
        assert!(Footer::is_whole(&path));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[10] ^= 1;
        let damaged = folder.path().join("damaged");
        std::fs::write(&damaged, bytes).unwrap();
        assert!(!Footer::is_whole(&damaged) && !Footer::is_whole(&folder.path().join("missing")));
        assert!(footer.belongs_at(&Artifacts::relative::<Corpus>(&partition).unwrap()));
        for elsewhere in [
            "corpus/dataset=text8/split=train/corpus.parquet",
            "corpus/dataset=text8/corpus.parquet",
            "samples/dataset=text8/split=val/corpus.parquet",
            "corpus/dataset=text8/split=val/seed=x/corpus.parquet",
        ] {
            assert!(!footer.belongs_at(Path::new(elsewhere)), "{elsewhere}");
        }
    }

    #[test]
    fn what_is_no_table_has_no_footer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.parquet");
        assert_eq!(Footer::read(&path), None);
        std::fs::write(&path, "PAR1 and nothing else").unwrap();
        assert_eq!(Footer::read(&path), None);
    }
}
