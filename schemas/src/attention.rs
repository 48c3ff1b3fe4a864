//! The attention table by the window: its columns as they lie in memory, without a row type in between, because it is
//! the one table that is large.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt16Type};
use arrow_array::{ArrayRef, Float32Array, ListArray, RecordBatch, UInt16Array};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};

use crate::lists::Lists;
use crate::tables::Attention;
use crate::{Encoder, Error, Group, Reader, Table, Writer, cell};

/// All attention of one probe window.
///
/// # Shapes
/// `weights` holds, for each layer, each head in it and each query `i` in order, the `i + 1` weights of that row: layers ×
/// heads × `triangle(queries)` values without gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The probe window, as in `windows`.
    pub window: u16,
    /// Layers.
    pub layers: usize,
    /// Heads a layer.
    pub heads: usize,
    /// Queries, the window's length.
    pub queries: usize,
    /// The rows' weights, one row after the other; what was read is not copied.
    pub weights: ScalarBuffer<f32>,
}

/// The position of the column `weights`, which is the last.
const WEIGHTS: usize = 4;

/// The number of weights in the rows of one head: `1 + 2 + … + queries`.
pub const fn triangle(queries: usize) -> usize {
    queries * (queries + 1) / 2
}

impl Window {
    /// The rows of one head, one after the other: row `i` starts at `triangle(i)` and has `i + 1` weights.
    pub fn head(&self, layer: usize, head: usize) -> &[f32] {
        let size = triangle(self.queries);
        &self.weights[(layer * self.heads + head) * size..][..size]
    }
}

impl Encoder<Attention> {
    /// One row group of one window.
    ///
    /// # Panics
    /// If `weights` is not of the length that the other fields say, or one of them is above 65,536.
    pub fn window(&self, window: Window) -> Group<Attention> {
        let Window { window: number, layers, heads, queries, weights } = window;
        assert_eq!(weights.len(), layers * heads * triangle(queries), "a window's weights fill its triangles");
        const NUMBERED: &str = "layers, heads and queries are numbered in u16";
        let rows = layers * heads * queries;
        let column = |value: &dyn Fn(usize) -> usize| -> ArrayRef {
            Arc::new(UInt16Array::from_iter_values((0..rows).map(|row| u16::try_from(value(row)).expect(NUMBERED))))
        };
        let lists = ListArray::new(
            cell::element::<Float32Type>(),
            OffsetBuffer::from_lengths((0..rows).map(|row| row % queries + 1)),
            Arc::new(Float32Array::new(weights, None)),
            None,
        );
        let columns = vec![
            column(&|_| number.into()),
            column(&|row| row / (heads * queries)),
            column(&|row| row / queries % heads),
            column(&|row| row % queries),
            Arc::new(lists),
        ];
        let batch = RecordBatch::try_new(Arc::new(Attention::schema()), columns)
            .expect("the arrays are built after the declaration of the table");
        self.batch(&batch)
    }
}

impl Writer<Attention> {
    /// Appends one window as one row group.
    ///
    /// # Errors
    /// [`Error::Write`] if it cannot be written.
    ///
    /// # Panics
    /// As [`Encoder::window`].
    pub fn write_window(&mut self, window: Window) -> Result<(), Error> {
        self.append(self.encoder().window(window))
    }
}

impl Reader<Attention> {
    /// Reads the window of one row group.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the rows are not one whole window, sorted by layer, head and query.
    pub fn window(&self, group: usize) -> Result<Window, Error> {
        let batches = self.batches(group, WEIGHTS)?;
        let [batch] = batches.as_slice() else {
            return Err(self.damaged(format!("row group {group} is empty")));
        };
        let column = |position: usize| batch.column(position).as_primitive::<UInt16Type>().values().as_ref();
        let (windows, layers, heads, queries): (&[u16], &[u16], &[u16], &[u16]) =
            (column(0), column(1), column(2), column(3));
        let Lists { lengths, values } = self.lists(group, WEIGHTS)?;
        if windows.first() != windows.last() {
            let rows = windows.iter().take_while(|window| **window == windows[0]).count();
            let count = windows.chunk_by(|one, next| one == next).count();
            if count > 1 && windows.len() == count * rows {
                return Err(self.unsupported(format!(
                "row group {group} holds {count} windows, and one window per row group is read: write it in row groups of {rows} rows"
            )));
            }
        }
        let size = |column: &[u16]| column.iter().max().map_or(0, |last| usize::from(*last) + 1);
        let window = Window {
            window: windows[0],
            layers: size(layers),
            heads: size(heads),
            queries: size(queries),
            weights: values.into(),
        };
        let whole = batch.num_rows() == window.layers * window.heads * window.queries
            && lengths.len() == batch.num_rows()
            && (0..batch.num_rows()).all(|row| {
                let query = row % window.queries;
                windows[row] == window.window
                    && usize::from(queries[row]) == query
                    && usize::from(heads[row]) == row / window.queries % window.heads
                    && usize::from(layers[row]) == row / (window.queries * window.heads)
                    && lengths[row] == query + 1
            });
        if !whole {
            return Err(
                self.damaged(format!("row group {group} is not one whole window sorted by layer, head and query"))
            );
        }
        Ok(window)
    }
}
