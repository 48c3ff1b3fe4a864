//! A table as CSV (RFC 4180): a header, the keys first; empty cells are nulls.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use declarations::Fault;
use schemas::{Artifacts, Key, Table, TableVisitor, tables};
use serde::Serialize;
use serde_json::Value as Json;

use crate::files::partitions;

pub(crate) fn export(artifacts: &Artifacts, table: &str, to: Option<&Path>) -> Result<(), Fault> {
    let written = match to {
        Some(path) => {
            let fault = |error: io::Error| Fault::input(format!("cannot write {}: {error}", path.display()));
            let mut file = BufWriter::new(File::create(path).map_err(fault)?);
            tables::visit(table, Csv { artifacts, out: &mut file })
        }
        None => tables::visit(table, Csv { artifacts, out: &mut BufWriter::new(io::stdout().lock()) }),
    };
    written.unwrap_or_else(|| {
        let known: Vec<&str> = tables::all().iter().map(|table| table.name).collect();
        Err(Fault::parameter(format!("there is no table `{table}`: choose one of {}", known.join(", "))))
    })
}

struct Csv<'all> {
    artifacts: &'all Artifacts,
    out: &'all mut dyn Write,
}

impl TableVisitor for Csv<'_> {
    type Output = Result<(), Fault>;

    fn visit<T: Table + Serialize>(self) -> Result<(), Fault> {
        let Self { artifacts, out } = self;
        let partitions = partitions::<T>(artifacts)?;
        let keys = T::KEYS.iter().map(Key::to_string);
        let header: Vec<String> = keys.chain(T::columns().iter().map(|column| column.name.to_owned())).collect();
        let mut lines = vec![header];
        for partition in &partitions {
            let reader = artifacts.open::<T>(partition)?;
            for group in 0..reader.groups() {
                for row in reader.group(group)? {
                    let keys = T::KEYS.iter().map(|key| partition.value(*key).unwrap_or_default());
                    lines.push(keys.chain(cells(&row)?).collect());
                }
                write(out, &mut lines)?;
            }
        }
        write(out, &mut lines)?;
        ended(out.flush())
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

fn write(out: &mut dyn Write, lines: &mut Vec<Vec<String>>) -> Result<(), Fault> {
    for line in lines.drain(..) {
        let cells: Vec<String> = line.into_iter().map(quoted).collect();
        ended(writeln!(out, "{}", cells.join(",")))?;
    }
    Ok(())
}

fn quoted(cell: String) -> String {
    match cell.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    }
}

/// A reader that ends early, such as `head`, is no error.
fn ended(written: io::Result<()>) -> Result<(), Fault> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Fault::input(format!("cannot write the CSV: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_it_is_quoted() {
        assert_eq!(
            ["a", "a,b", "say \"x\"", "\n", ""].map(|cell| quoted(cell.to_owned())),
            ["a", "\"a,b\"", "\"say \"\"x\"\"\"", "\"\n\"", ""]
        );
        assert_eq!(text(serde_json::json!([1, 2.5])), "[1,2.5]");
    }
}
