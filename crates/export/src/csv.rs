//! A table as CSV (RFC 4180): a header, the keys first; empty cells are nulls.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use atomic_file::AtomicFile;
use csv::Writer;
use declarations::Fault;
use schemas::{Artifacts, Key, Partition, Table, TableVisitor, tables};
use serde::Serialize;
use serde_json::Value as Json;

use crate::files::partitions;

pub(crate) fn export(artifacts: &Artifacts, table: &str, to: Option<&Path>) -> Result<(), Fault> {
    tables::visit(table, Csv { artifacts, to }).unwrap_or_else(|| {
        let known: Vec<&str> = tables::all().iter().map(|table| table.name).collect();
        Err(Fault::parameter(format!("there is no table `{table}`: choose one of {}", known.join(", "))))
    })
}

struct Csv<'all> {
    artifacts: &'all Artifacts,
    to: Option<&'all Path>,
}

impl TableVisitor for Csv<'_> {
    type Output = Result<(), Fault>;

    fn visit<T: Table + Serialize>(self) -> Result<(), Fault> {
        // Before a file is touched: there may be nothing to write.
        let partitions = partitions::<T>(self.artifacts)?;
        let Some(path) = self.to else {
            return rows::<T>(self.artifacts, &partitions, BufWriter::new(io::stdout().lock()));
        };
        let fault = |error: io::Error| Fault::input(format!("cannot write {}: {error}", path.display()));
        crate::make_folder_of(path)?;
        let mut file = AtomicFile::create(path).map_err(fault)?;
        rows::<T>(self.artifacts, &partitions, BufWriter::new(&mut file))?;
        file.commit().map_err(fault)?;
        eprintln!("wrote {}", path.display());
        Ok(())
    }
}

/// Writes a header and all rows, until there are no more or their reader ends early, as `head` does, which is no error.
fn rows<T: Table + Serialize>(artifacts: &Artifacts, partitions: &[Partition], out: impl Write) -> Result<(), Fault> {
    let mut out = Writer::from_writer(out);
    let keys = T::KEYS.iter().map(Key::to_string);
    let mut is_read = written(out.write_record(keys.chain(T::columns().iter().map(|column| column.name.to_owned()))))?;
    for partition in partitions {
        let reader = artifacts.open::<T>(partition)?;
        for group in 0..reader.groups() {
            for row in reader.group(group)? {
                if !is_read {
                    return Ok(());
                }
                let keys = T::KEYS.iter().map(|key| partition.value(*key).unwrap_or_default());
                is_read = written(out.write_record(keys.chain(cells(&row)?)))?;
            }
        }
    }
    written(out.flush().map_err(csv::Error::from)).map(|_| ())
}

/// Whether what was written is still read.
fn written(result: Result<(), csv::Error>) -> Result<bool, Fault> {
    match result.map_err(io::Error::from) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Fault::input(format!("cannot write the CSV: {error}"))),
    }
}

/// The cells of a row, in the order of its columns.
fn cells<T: Serialize>(row: &T) -> Result<Vec<String>, Fault> {
    let row = serde_json::to_value(row).map_err(|error| Fault::bug(error.to_string()))?;
    let Json::Object(cells) = row else { return Err(Fault::bug("a row has columns")) };
    Ok(cells.into_iter().map(|(_, cell)| text(cell)).collect())
}

fn text(cell: Json) -> String {
    match cell {
        Json::Null => String::new(),
        Json::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_exported_leaves_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("kept.csv");
        std::fs::write(&file, "kept").expect("a file");
        let artifacts = Artifacts::new(folder.path());
        for table in ["no_such_table", "head_metrics"] {
            export(&artifacts, table, Some(&file)).expect_err("there is no such table, or no file of it");
            assert_eq!(std::fs::read_to_string(&file).expect("a file"), "kept");
        }
    }

    #[test]
    fn rows_are_quoted_where_they_must_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let artifacts = Artifacts::new(folder.path().join("study"));
        let made = schemas::Provenance::new("prep", 1, Json::Null);
        let rows = [
            schemas::tables::Vocabulary::row(0, b"\"".to_vec(), 3),
            schemas::tables::Vocabulary::row(1, b",".to_vec(), 0),
        ];
        artifacts.write(&Partition::dataset("d"), &made, &rows).expect("a table");
        let file = folder.path().join("new/folder/vocabulary.csv");
        export(&artifacts, "vocabulary", Some(&file)).expect("it is there");
        let expected =
            "dataset,token,symbol,bytes,code_point,train_count\nd,0,\"\"\"\",[34],34,3\nd,1,\",\",[44],44,0\n";
        assert_eq!(std::fs::read_to_string(&file).expect("a file"), expected);
    }

    #[test]
    fn lists_are_json_and_null_is_empty() {
        assert_eq!(text(serde_json::json!([1, 2.5])), "[1,2.5]");
        assert_eq!([text(Json::Null), text(serde_json::json!("a,\n"))], ["", "a,\n"]);
    }
}
