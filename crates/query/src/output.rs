//! An answer as text or as a file.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::path::Path;

use clap::ValueEnum;
use console::measure_text_width;
use declarations::Fault;
use polars::prelude::{AnyValue, Column, DataFrame, ParquetWriter, PolarsError, Series};
use serde_json::{Map, Value};

/// The form of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// Aligned columns, to read
    Table,
    /// Comma-separated values; lists as JSON, null as nothing
    Csv,
    /// Tab-separated values
    Tsv,
    /// One JSON array of objects
    Json,
    /// One JSON object a line
    Ndjson,
    /// A Parquet file
    Parquet,
}

/// Rows of a table that are shown unless others are asked for.
const TABLE_ROWS: usize = 100;
/// Elements of a list that a table shows.
const LIST_ELEMENTS: usize = 4;

/// Where answers go, and in which form.
pub struct Output {
    format: Format,
    rows: usize,
    to: Box<dyn Write>,
    answers: usize,
}

impl Output {
    /// Answers in this form, with so many rows at most (all if 0, the form's default if none), to a file or standard output.
    ///
    /// # Errors
    /// The file cannot be created, or a Parquet file would be printed on a terminal.
    pub fn new(format: Format, rows: Option<usize>, file: Option<&Path>) -> Result<Self, Fault> {
        let to: Box<dyn Write> = match file {
            Some(path) => {
                let file = File::create(path);
                Box::new(BufWriter::new(
                    file.map_err(|error| Fault::input(format!("cannot create {}: {error}", path.display())))?,
                ))
            }
            None if format == Format::Parquet && io::stdout().is_terminal() => {
                return Err(Fault::parameter("--format parquet needs --output FILE, or a pipe"));
            }
            None => Box::new(BufWriter::new(io::stdout())),
        };
        let rows = match rows.unwrap_or(if format == Format::Table { TABLE_ROWS } else { 0 }) {
            0 => usize::MAX,
            rows => rows,
        };
        Ok(Self { format, rows, to, answers: 0 })
    }

    /// Writes an answer.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, answer: DataFrame) -> Result<(), Fault> {
        self.answers += 1;
        if self.format == Format::Parquet && self.answers > 1 {
            return Err(Fault::parameter("--format parquet is for one statement"));
        }
        let all = answer.height();
        let mut shown = if all > self.rows { answer.head(Some(self.rows)) } else { answer };
        let written = match self.format {
            Format::Table => self.table(&shown, all),
            Format::Csv => self.separated(&shown, b','),
            Format::Tsv => self.separated(&shown, b'\t'),
            Format::Json => self.json(&shown, "[\n", ",\n", "\n]\n"),
            Format::Ndjson => self.json(&shown, "", "\n", "\n"),
            Format::Parquet => ParquetWriter::new(&mut self.to).finish(&mut shown).map(|_| ()),
        };
        written.or_else(ended).and_then(|()| self.close())
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn close(&mut self) -> Result<(), Fault> {
        self.to.flush().map_err(PolarsError::from).or_else(ended)
    }

    /// Aligned columns below their names; numbers to the right. A last line has the number of rows.
    fn table(&mut self, frame: &DataFrame, all: usize) -> Result<(), PolarsError> {
        let mut columns = Vec::new();
        for column in frame.columns() {
            let mut cells = vec![column.name().to_string()];
            for row in 0..frame.height() {
                cells.push(cell(&column.get(row)?));
            }
            let width = cells.iter().map(|cell| measure_text_width(cell)).max().unwrap_or(0);
            columns.push((width, column.dtype().is_primitive_numeric(), cells));
        }
        for row in 0..=frame.height() {
            let mut line = String::new();
            for (width, right, cells) in &columns {
                let space = " ".repeat(width - measure_text_width(&cells[row]));
                let (before, after) = if *right { (space.as_str(), "") } else { ("", space.as_str()) };
                line += &format!("{before}{}{after}  ", cells[row]);
            }
            writeln!(self.to, "{}", line.trim_end())?;
            if row == 0 {
                let rules: Vec<_> = columns.iter().map(|(width, ..)| "─".repeat(*width)).collect();
                writeln!(self.to, "{}", rules.join("  "))?;
            }
        }
        let rows = if all == 1 { "row" } else { "rows" };
        match frame.height() {
            shown if shown < all => writeln!(self.to, "({all} {rows}, {shown} shown: --maxrows 0 shows all)")?,
            _ => writeln!(self.to, "({all} {rows})")?,
        }
        Ok(())
    }

    fn separated(&mut self, frame: &DataFrame, delimiter: u8) -> Result<(), PolarsError> {
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(&mut self.to);
        writer.write_record(frame.columns().iter().map(|column| column.name().as_str())).map_err(io::Error::from)?;
        for row in 0..frame.height() {
            let cells = frame.columns().iter().map(|column| {
                Ok(match json(&column.get(row)?) {
                    Value::Null => String::new(),
                    Value::String(text) => text,
                    value => value.to_string(),
                })
            });
            let cells = cells.collect::<Result<Vec<_>, PolarsError>>()?;
            writer.write_record(cells).map_err(io::Error::from)?;
        }
        writer.flush()?;
        Ok(())
    }

    fn json(&mut self, frame: &DataFrame, before: &str, between: &str, after: &str) -> Result<(), PolarsError> {
        self.to.write_all(before.as_bytes())?;
        for row in 0..frame.height() {
            let pair = |column: &Column| Ok((column.name().to_string(), json(&column.get(row)?)));
            let object = frame.columns().iter().map(pair).collect::<Result<Map<_, _>, PolarsError>>()?;
            let separator = if row > 0 { between } else { "" };
            write!(self.to, "{separator}{}", Value::Object(object))?;
        }
        if !before.is_empty() || frame.height() > 0 {
            self.to.write_all(after.as_bytes())?;
        }
        Ok(())
    }
}

/// Whoever reads a pipe may have enough of it.
fn ended(error: PolarsError) -> Result<(), Fault> {
    match &error {
        PolarsError::IO { error, .. } if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Fault::input(format!("cannot write the answer: {error}"))),
    }
}

/// A value as a person reads it: 6 significant digits, control characters escaped.
fn cell(value: &AnyValue<'_>) -> String {
    match value {
        AnyValue::Float64(number) => significant(*number),
        AnyValue::Float32(number) => significant(f64::from(*number)),
        AnyValue::List(list) => {
            let shown: Vec<_> = list.iter().take(LIST_ELEMENTS).map(|element| cell(&element)).collect();
            let more = list.len().saturating_sub(LIST_ELEMENTS);
            let more = if more > 0 { format!(", … {more} more") } else { String::new() };
            format!("[{}{more}]", shown.join(", "))
        }
        AnyValue::Binary(bytes) => cell_of_bytes(bytes),
        AnyValue::BinaryOwned(bytes) => cell_of_bytes(bytes),
        other => {
            let escaped = |character: char| match character.is_control() {
                true => character.escape_default().to_string(),
                false => character.to_string(),
            };
            other.str_value().chars().map(escaped).collect()
        }
    }
}

/// Bytes as a person reads them: as text, what is no visible ASCII escaped.
fn cell_of_bytes(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// A number with 6 significant digits.
fn significant(number: f64) -> String {
    const DIGITS: i32 = 6;
    let size = if number == 0.0 { 0.0 } else { number.abs().log10().floor() };
    if !number.is_finite() {
        number.to_string()
    } else if (-5.0..f64::from(DIGITS)).contains(&size) {
        let decimals = (f64::from(DIGITS - 1) - size).max(0.0);
        format!("{number:.*}", decimals as usize)
    } else {
        format!("{number:.*e}", DIGITS as usize - 1)
    }
}

/// A value as JSON; null for what JSON has no number for.
fn json(value: &AnyValue<'_>) -> Value {
    match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(truth) => Value::from(*truth),
        AnyValue::UInt8(number) => Value::from(*number),
        AnyValue::UInt16(number) => Value::from(*number),
        AnyValue::UInt32(number) => Value::from(*number),
        AnyValue::UInt64(number) => Value::from(*number),
        AnyValue::Int8(number) => Value::from(*number),
        AnyValue::Int16(number) => Value::from(*number),
        AnyValue::Int32(number) => Value::from(*number),
        AnyValue::Int64(number) => Value::from(*number),
        AnyValue::Float64(number) => Value::from(*number),
        // The shortest decimals that are this float32, and not those of the float64 of its value.
        AnyValue::Float32(number) => number.to_string().parse::<f64>().map_or(Value::Null, Value::from),
        AnyValue::List(list) => elements(list),
        AnyValue::Binary(bytes) => Value::from(*bytes),
        AnyValue::BinaryOwned(bytes) => Value::from(bytes.as_slice()),
        other => Value::from(other.str_value().into_owned()),
    }
}

fn elements(list: &Series) -> Value {
    Value::Array(list.iter().map(|element| json(&element)).collect())
}

#[cfg(test)]
mod tests {
    use polars::df;

    use super::*;

    #[test]
    fn numbers_have_six_significant_digits() {
        let shown = [0.0, 1.0, -0.012345678, 2000.0, 1.5e9, 1.25e-9, f64::NAN].map(significant);
        assert_eq!(shown, ["0.00000", "1.00000", "-0.0123457", "2000.00", "1.50000e9", "1.25000e-9", "NaN"]);
    }

    #[test]
    fn values_are_exact_in_json() {
        assert_eq!(json(&AnyValue::Float32(0.1)), Value::from(0.1));
        assert_eq!(json(&AnyValue::UInt64(u64::MAX)).to_string(), "18446744073709551615");
        assert_eq!(json(&AnyValue::Float64(f64::NAN)), Value::Null);
    }

    #[test]
    fn line_breaks_do_not_break_a_table() {
        let frame = df!("text" => ["a\nb"]).unwrap();
        assert_eq!(cell(&frame.columns()[0].get(0).unwrap()), "a\\nb");
    }
}
