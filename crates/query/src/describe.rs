//! `\d`: what tables and columns mean.

use declarations::Fault;
use polars::prelude::{Column, DataFrame, PolarsError};
use schemas::type_name;

use crate::Tables;

/// The tables of the folder: what a row is, and of which keys there is a file.
pub(crate) fn tables(tables: &Tables) -> Result<DataFrame, Fault> {
    let there: Vec<_> = tables.all().filter(|(_, present)| *present).map(|(table, _)| table).collect();
    let keys = there.iter().map(|table| table.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    frame([
        ("table", there.iter().map(|table| table.name.to_owned()).collect()),
        ("keys", keys.collect()),
        ("a row is", there.iter().map(|table| table.description.clone()).collect()),
    ])
}

/// The columns of a table, its keys first: type, unit and meaning.
pub(crate) fn table(tables: &Tables, name: &str) -> Result<DataFrame, Fault> {
    let table = tables.find(name)?;
    let mut rows: Vec<[String; 4]> = Vec::new();
    for key in table.keys {
        rows.push([key.to_string(), type_name(&key.data_type()), String::new(), key.description().to_owned()]);
    }
    for column in &table.columns {
        let null = if column.nullable { " or null" } else { "" };
        let unit = column.shown_unit().unwrap_or_default().to_owned();
        rows.push([column.name.to_owned(), column.type_name() + null, unit, column.meaning()]);
    }
    let names = ["column", "type", "unit", "meaning"];
    frame(std::array::from_fn::<_, 4, _>(|at| (names[at], rows.iter().map(|row| row[at].clone()).collect())))
}

fn frame<const COLUMNS: usize>(columns: [(&str, Vec<String>); COLUMNS]) -> Result<DataFrame, Fault> {
    let columns = columns.map(|(name, values)| Column::new(name.into(), values)).to_vec();
    DataFrame::new_infer_height(columns).map_err(|error: PolarsError| Fault::bug(error.to_string()))
}
