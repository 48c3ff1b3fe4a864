//! The numbers that a figure shows, as a table of text: its CSV twin.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A table; each row has a cell for each column.
#[derive(Clone, Debug, Default)]
pub struct Data {
    /// The columns' names.
    pub columns: &'static [&'static str],
    /// The cells, row by row.
    pub cells: Vec<Cell>,
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Text.
    Text(Cow<'static, str>),
    /// A number.
    Number(f64),
    /// A number of float32.
    Single(f32),
    /// A whole number.
    Whole(u64),
    /// Nothing.
    Empty,
}

impl Data {
    /// Adds a row.
    pub fn row<const COLUMNS: usize>(&mut self, cells: [Cell; COLUMNS]) {
        debug_assert_eq!(self.columns.len(), COLUMNS, "a cell for each column");
        self.cells.extend(cells);
    }

    /// The table as CSV (RFC 4180, lines ending in a line feed), numbers as short as reading them back allows.
    ///
    /// # Errors
    /// None in practice: it is written to memory.
    pub fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns)?;
        let mut text = String::new();
        for row in self.cells.chunks_exact(self.columns.len().max(1)) {
            for cell in row {
                text.clear();
                // Writing to a string cannot fail.
                let _ = match cell {
                    Cell::Text(word) => text.write_str(word),
                    Cell::Number(number) => write!(text, "{number}"),
                    Cell::Single(number) => write!(text, "{number}"),
                    Cell::Whole(number) => write!(text, "{number}"),
                    Cell::Empty => Ok(()),
                };
                writer.write_field(&text)?;
            }
            writer.write_record(None::<&[u8]>)?;
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    }
}

impl From<&'static str> for Cell {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<f32> for Cell {
    fn from(number: f32) -> Self {
        Self::Single(number)
    }
}

macro_rules! whole {
    ($($type:ty),+) => {$(
        impl From<$type> for Cell {
            fn from(number: $type) -> Self {
                Self::Whole(number.into())
            }
        }
    )+};
}

whole!(u16, u32, u64);

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::Whole(number as u64)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(cell: Option<T>) -> Self {
        cell.map_or(Self::Empty, T::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_numbers_are_whole() {
        let mut data = Data { columns: &["run", "step", "value"], cells: Vec::new() };
        data.row(["a, \"b\"".to_owned().into(), 3_u32.into(), 0.1.into()]);
        data.row(["c".into(), Cell::Empty, Some(0.25_f32).into()]);
        let csv = String::from_utf8(data.csv().expect("written")).expect("text");
        assert_eq!(csv, "run,step,value\n\"a, \"\"b\"\"\",3,0.1\nc,,0.25\n");
    }
}
