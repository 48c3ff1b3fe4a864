//! Formats a frame as text.

use polars::prelude::{AnyValue, DataFrame, PolarsResult};

/// The whole frame, a line per row below a line of column names, right-aligned; floats have six decimals.
pub(crate) fn aligned(frame: &DataFrame) -> PolarsResult<String> {
    let mut columns = Vec::new();
    for column in frame.columns() {
        let mut cells = vec![column.name().to_string()];
        for row in 0..frame.height() {
            cells.push(match column.get(row)? {
                AnyValue::Float64(number) => format!("{number:.6}"),
                other => other.str_value().into_owned(),
            });
        }
        let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
        columns.push((width, cells));
    }
    let mut text = String::new();
    for row in 0..=frame.height() {
        let cells: Vec<_> = columns.iter().map(|(width, cells)| format!("{:>width$}", cells[row])).collect();
        text += &cells.join("  ");
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use polars::df;

    use super::*;

    #[test]
    fn columns_are_aligned() {
        let frame = df!("step" => [Some(100u32), None], "é" => [0.5, -12.25]).unwrap();
        assert_eq!(aligned(&frame).unwrap(), "step           é\n 100    0.500000\nnull  -12.250000\n");
    }
}
