//! The attention behind every token of a batch's first texts.

use model::{HeadRow, table_index};
use schemas::tables::GeneratedAttention;

/// Attention rows of the first texts of a batch, as they are generated or fed.
pub struct Kept {
    step: u32,
    /// Texts in the batch.
    batch: usize,
    heads: usize,
    /// Tokens so far.
    tokens: u32,
    /// The rows of each text.
    texts: Vec<Vec<GeneratedAttention>>,
}

impl Kept {
    /// Keeps the first `texts` of a batch of texts of a step's model, or all if there are fewer.
    pub fn new(step: u32, texts: u16, batch: usize, heads: usize) -> Self {
        let texts = usize::from(texts).min(batch);
        Self { step, batch, heads, tokens: 0, texts: vec![Vec::new(); texts] }
    }

    /// Keeps the rows that the next token of every text is predicted from.
    ///
    /// # Shapes
    /// `rows`: text × layer × head, in that order.
    pub fn observe(&mut self, rows: &[HeadRow]) {
        let rows_per_text = rows.len() / self.batch;
        if rows_per_text == 0 {
            return;
        }
        for ((sample, text), rows) in (0..).zip(&mut self.texts).zip(rows.chunks_exact(rows_per_text)) {
            text.extend(rows.iter().enumerate().map(|(at, row)| GeneratedAttention {
                step: self.step,
                sample,
                position: self.tokens,
                layer: table_index(at / self.heads),
                head: table_index(at % self.heads),
                weights: row.weights.clone(),
            }));
        }
        self.tokens += 1;
    }

    /// The rows of each text.
    pub fn texts(self) -> Vec<Vec<GeneratedAttention>> {
        self.texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_first_texts_are_numbered() {
        let row = |weights: &[f32]| HeadRow { weights: weights.to_vec(), output_norm: 0.0 };
        // Two layers of one head, a batch of two texts.
        let mut kept = Kept::new(7, 1, 2, 1);
        kept.observe(&[]);
        kept.observe(&[row(&[1.0]), row(&[1.0]), row(&[9.0]), row(&[9.0])]);
        kept.observe(&[row(&[0.5, 0.5]), row(&[0.2, 0.8]), row(&[9.0]), row(&[9.0])]);
        let [rows] = &kept.texts()[..] else { panic!("one text") };
        let found: Vec<_> =
            rows.iter().map(|row| (row.position, row.layer, row.head, row.weights.as_slice())).collect();
        assert_eq!(found, [(0, 0, 0, &[1.0][..]), (0, 1, 0, &[1.0]), (1, 0, 0, &[0.5, 0.5]), (1, 1, 0, &[0.2, 0.8])]);
        assert!(rows.iter().all(|row| (row.step, row.sample) == (7, 0)));
        assert_eq!(Kept::new(0, 9, 2, 1).texts().len(), 2);
    }
}
