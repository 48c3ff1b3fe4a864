//! A copy of a table's file that stands for more runs than its original.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Take};
use std::path::Path;

use parquet::file::metadata::{
    FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataBuilder, ParquetMetaDataOptions, ParquetMetaDataReader,
    ParquetMetaDataWriter,
};

use crate::checksum::{self, Summed, Sums};
use crate::{Artifacts, Error, Footer, Source, footer};

impl Artifacts {
    /// Copies a table's file to another path, both relative to the root: the same rows, byte for byte, under a footer that names
    /// other inputs and other runs for which the file stands.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, is no Parquet file, or its checksum is wrong; [`Error::Write`] if the copy cannot
    /// be written.
    pub fn copy_for(&self, from: &Path, to: &Path, inputs: &[Source], shared_by: &[String]) -> Result<(), Error> {
        let path = self.root().join(from);
        let (metadata, rows) = sound(&path).map_err(|source| Error::Io { action: "read", path, source })?;
        let mut copy = Summed::new(self.create_file(to)?);
        let footer = with_footer(metadata, inputs, shared_by);
        let mut bytes = Vec::new();
        let written = ParquetMetaDataWriter::new(&mut bytes, &footer).finish().map_err(io::Error::other);
        let written = written.and_then(|()| io::copy(&mut rows.chain(&bytes[..]), &mut copy));
        written.and_then(|_| copy.commit()).map_err(Error::Write)
    }
}

impl Footer {
    /// Whether two files hold the same table, written for the same keys by the same producer with the same parameters, and the same
    /// rows, byte for byte: copies of one file, whatever inputs and runs their footers name.
    pub fn is_copy(one: &Path, other: &Path) -> bool {
        let described = |path| {
            let Self { table, version, partition, provenance } = Self::read(path)?;
            Some((table, version, partition, provenance.producer, provenance.config))
        };
        let rows = |path: &Path| {
            let mut file = File::open(path)?;
            let end = rows_end(&mut file)?;
            file.rewind()?;
            blake3::Hasher::new().update_reader(file.take(end)).map(|hasher| hasher.finalize())
        };
        let are_alike = described(one).is_some() && described(one) == described(other);
        are_alike && rows(one).ok().zip(rows(other).ok()).is_some_and(|(one, other)| one == other)
    }
}

/// What Parquet says of a file whose checksum is right, and the file's bytes up to the footer.
fn sound(path: &Path) -> io::Result<(ParquetMetaData, Take<File>)> {
    let mut file = File::open(path)?;
    let metadata = whole_metadata(&file)?;
    if Sums::of(&mut file)?.crc32.is_some_and(|[said, found]| said != found) {
        return Err(io::Error::other("its checksum is wrong"));
    }
    let end = rows_end(&mut file)?;
    file.rewind()?;
    Ok((metadata, file.take(end)))
}

/// All that Parquet says of the rows; by default, the encodings of pages are reduced to what cannot be written again.
fn whole_metadata(file: &File) -> io::Result<ParquetMetaData> {
    let options = ParquetMetaDataOptions::new().with_encoding_stats_as_mask(false);
    let reader = ParquetMetaDataReader::new().with_metadata_options(Some(options));
    reader.parse_and_finish(file).map_err(io::Error::other)
}

/// Where the footer begins.
fn rows_end(file: &mut File) -> io::Result<u64> {
    // The last bytes are the footer's length and the magic number.
    const TAIL: u64 = 8;
    let end = file.seek(SeekFrom::End(0))?;
    let tail = end.checked_sub(TAIL).ok_or_else(|| io::Error::other("the file is too short"))?;
    file.seek(SeekFrom::Start(tail))?;
    let mut length = [0; 4];
    file.read_exact(&mut length)?;
    tail.checked_sub(u32::from_le_bytes(length).into())
        .ok_or_else(|| io::Error::other("the footer is longer than the file"))
}

/// The same, with other inputs and runs, and a place for the checksum.
fn with_footer(metadata: ParquetMetaData, inputs: &[Source], shared_by: &[String]) -> ParquetMetaData {
    let file = metadata.file_metadata();
    let replaced = [
        (footer::INPUTS, footer::json(&inputs)),
        (footer::SHARED_BY, footer::json(&shared_by)),
        (checksum::KEY, checksum::BLANK.to_owned()),
    ];
    let kept = file.key_value_metadata().into_iter().flatten();
    let kept = kept.filter(|pair| replaced.iter().all(|(key, _)| pair.key != *key)).cloned();
    let pairs =
        kept.chain(replaced.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()))).collect();
    let renamed = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        Some(pairs),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    ParquetMetaDataBuilder::new(renamed).set_row_groups(metadata.row_groups().to_vec()).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{Attention, TrainingLog};
    use crate::{Partition, Provenance, Table};

    fn partition(run: &str) -> Partition {
        Partition::dataset("text8").run(run).seed(1).step(5)
    }

    fn source(run: &str, hash: &str) -> Source {
        Source { path: format!("checkpoints/run={run}/checkpoints.parquet"), blake3: hash.to_owned() }
    }

    #[test]
    fn a_copy_has_the_rows_and_a_footer_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::new(folder.path());
        let made = Provenance::new("snapshot", 2, serde_json::json!({"window": 3}));
        let rows: Vec<Attention> = (0..300)
            .map(|query| Attention { window: 7, layer: 0, head: 1, query, weights: vec![0.5; usize::from(query) + 1] })
            .collect();
        let original = made.from_inputs([&source("run_1", "a")]).shared_by(&["run_0".into()]).with("tests", 4);
        artifacts.write(&partition("run_1"), &original, &rows).unwrap();
        let [from, to] = ["run_1", "run_2"].map(|run| Artifacts::relative::<Attention>(&partition(run)).unwrap());
        let runs = ["run_0".to_owned(), "run_2".to_owned()];
        artifacts.copy_for(&from, &to, &[source("run_2", "b")], &runs).unwrap();
        let read = artifacts.read::<Attention>(&partition("run_2")).unwrap();
        assert_eq!(read.rows, rows);
        assert_eq!(read.written_for, partition("run_1"), "it stands for another run");
        assert_eq!(read.provenance, made.from_inputs([&source("run_2", "b")]).shared_by(&runs).with("tests", 4));
        let [one, other] = [from, to].map(|path| folder.path().join(path));
        assert!(Footer::is_whole(&other) && Footer::is_copy(&one, &other));
        // What Parquet says of the rows is what it said, their indexes included.
        let row_groups = |path: &Path| whole_metadata(&File::open(path).unwrap()).unwrap().row_groups().to_vec();
        assert_eq!(row_groups(&one), row_groups(&other));
        assert!(row_groups(&other)[0].columns().iter().all(|column| column.offset_index_offset().is_some()));
        artifacts.write(&partition("run_2"), &original, &rows[1..]).unwrap();
        assert!(!Footer::is_copy(&one, &other), "other rows");
        // What is damaged is not copied under a checksum that is right.
        let mut bytes = std::fs::read(&one).unwrap();
        bytes[100] ^= 1;
        std::fs::write(&one, bytes).unwrap();
        std::fs::remove_file(&other).unwrap();
        let [from, to] = [one, other].map(|path| path.strip_prefix(folder.path()).unwrap().to_owned());
        let error = artifacts.copy_for(&from, &to, &[], &runs).unwrap_err().to_string();
        assert!(error.contains("its checksum is wrong") && !folder.path().join(to).exists(), "{error}");
    }

    #[test]
    fn what_is_no_table_is_no_copy_and_is_not_copied() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::new(folder.path());
        let [path, to] = ["text", "copy"].map(|name| folder.path().join(name));
        for bytes in [&b""[..], b"PAR1", b"PAR1\xff\xff\xff\xffPAR1"] {
            std::fs::write(&path, bytes).unwrap();
            assert!(artifacts.copy_for(Path::new("text"), Path::new("copy"), &[], &[]).is_err());
            assert!(!Footer::is_copy(&path, &path) && !to.exists());
        }
        let log = Artifacts::relative::<TrainingLog>(&partition("run_1")).unwrap();
        assert!(artifacts.copy_for(&log, Path::new("copy"), &[], &[]).is_err(), "{} is missing", TrainingLog::NAME);
    }
}
