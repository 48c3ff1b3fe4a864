//! `artifacts.sql`: every table of a folder as a view of DuckDB, with what its rows and columns mean.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;

use declarations::Per;
use schemas::{Artifacts, Column, DataType, Description, Error, Key, tables};

use crate::own::OwnStage;

/// The file's name, in the folder of all tables.
pub const FILE: &str = "artifacts.sql";

const HEAD: &str = "\
-- Every table of this folder as a view of DuckDB, written by the driver:
--     cd <this folder> && duckdb -init artifacts.sql
-- Paths are relative, so that the folder can be moved and have any name.
-- Runs share trainings: name one run in every question (WHERE run = 'run_3'), or each training counts several times.
-- What the columns of a view are: SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'head_metrics';
";

/// Writes the file, if it would be another one.
///
/// # Errors
/// [`Error::Write`] if it cannot be written.
pub(crate) fn write(artifacts: &Artifacts, own: &[Arc<OwnStage>]) -> Result<(), Error> {
    let sql = views(artifacts, own);
    if fs::read_to_string(artifacts.root().join(FILE)).is_ok_and(|written| written == sql) {
        return Ok(());
    }
    let mut file = artifacts.create_file(FILE)?;
    std::io::Write::write_all(&mut file, sql.as_bytes()).and_then(|()| file.commit()).map_err(Error::Write)
}

/// The statements for the tables that have a file.
pub fn views(artifacts: &Artifacts, own: &[Arc<OwnStage>]) -> String {
    let mut sql = HEAD.to_owned();
    let of_own = own.iter().flat_map(|stage| stage.tables.iter().map(|table| of_own(stage, table)));
    let tables = tables::all().into_iter().map(View::from).chain(of_own);
    let tables: Vec<_> = tables.filter(|table| artifacts.has_any_of(&table.name, table.keys)).collect();
    for table in &tables {
        let _ = writeln!(sql, "\nCREATE OR REPLACE VIEW \"{}\" AS FROM {};", table.name, source(table));
    }
    // After the views: in a table of an older version a column may be missing.
    for table in &tables {
        let _ = writeln!(sql, "\nCOMMENT ON VIEW \"{}\" IS {};", table.name, quoted(&table.description));
        for key in table.keys {
            let _ = writeln!(sql, "COMMENT ON COLUMN \"{}\".\"{key}\" IS {};", table.name, quoted(key.description()));
        }
        for column in &table.columns {
            let unit = column.shown_unit().map_or(String::new(), |unit| format!(" [{unit}]"));
            let comment = quoted(&format!("{}{unit}", column.meaning()));
            let _ = writeln!(sql, "COMMENT ON COLUMN \"{}\".\"{}\" IS {comment};", table.name, column.name);
        }
    }
    sql
}

/// A table, as far as a view needs to know it.
struct View {
    name: String,
    description: String,
    keys: &'static [Key],
    columns: Vec<Column>,
}

impl From<Description> for View {
    fn from(table: Description) -> Self {
        let Description { name, description, keys, columns, .. } = table;
        Self { name: name.to_owned(), description, keys, columns }
    }
}

/// A table of the user's own, of whose columns nothing is declared.
fn of_own(stage: &OwnStage, table: &str) -> View {
    let keys: &[Key] = match stage.per {
        Per::Study => &[],
        Per::Dataset => &[Key::Dataset],
        Per::Training => &[Key::Dataset, Key::Run, Key::Seed],
    };
    View { name: table.to_owned(), description: stage.about.clone(), keys, columns: Vec::new() }
}

/// The table function that reads a table's files, with its keys as typed columns.
fn source(table: &View) -> String {
    let folders: String = table.keys.iter().map(|key| format!("{key}=*/")).collect();
    let path = quoted(&format!("{0}/{folders}{0}.parquet", table.name));
    if table.keys.is_empty() {
        return format!("read_parquet({path})");
    }
    let types: Vec<_> = table.keys.iter().map(|key| format!("'{key}': {}", duckdb_type(*key))).collect();
    format!("read_parquet({path}, hive_partitioning = true, hive_types = {{{}}})", types.join(", "))
}

fn duckdb_type(key: Key) -> &'static str {
    match key.data_type() {
        DataType::UInt32 => "UINTEGER",
        DataType::UInt64 => "UBIGINT",
        _ => "VARCHAR",
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
