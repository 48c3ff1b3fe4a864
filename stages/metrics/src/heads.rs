//! The measures of `head_metrics`, each with its formula.
//!
//! Notation: `A[i,j]` is the head's attention of query `i` to key `j ≤ i`, renormalised in float64; `x_i` is the token at `i`;
//! `Q` is every query `i ≥ 1` of every `val` window, `R` every query `L ≤ i < 2L` of every `repeat` window, which is `L` tokens
//! twice. A column is the mean of its formula over `Q` ([`VAL`]) or over `R` ([`REPEAT`]), every query weighing alike.

use attention_metrics as row;
use schemas::Measure;
use schemas::tables::HeadMetrics;

use crate::means::{Means, Sums};

/// A measure and its formula, `Of` being the formula's type.
pub struct Formula<Of> {
    /// The column.
    pub measure: Measure<HeadMetrics>,
    /// The formula, for one query.
    pub of: Of,
    /// Its value under uniform attention, from the number of keys, `i + 1`; none where that depends on the text.
    pub uniform: Option<fn(usize) -> f64>,
}

/// One query of a `val` window.
pub struct ValQuery<'row> {
    /// `A[i,0]` to `A[i,i]`.
    pub row: &'row [f64],
    /// `x_0` to `x_i`.
    pub tokens: &'row [u16],
    /// `H = −Σ_j A[i,j] ln A[i,j]`, which several formulas need.
    pub entropy_nats: f64,
}

/// One query of the second half of a `repeat` window.
pub struct RepeatQuery<'row> {
    /// `A[i,0]` to `A[i,i]`.
    pub row: &'row [f64],
    /// `L`, at least 2.
    pub block: usize,
}

/// A formula for a query of `Q`.
pub type OfVal = fn(&ValQuery<'_>) -> f64;
/// A formula for a query of `R`.
pub type OfRepeat = fn(&RepeatQuery<'_>) -> f64;

/// The measures that are means over `Q`.
pub const VAL: [Formula<OfVal>; 9] = [
    // H = −Σ_j A[i,j] ln A[i,j], nats, ≥ 0 (Clark et al. 2019; Zhai et al. 2023).
    Formula {
        measure: HeadMetrics::entropy_nats,
        of: |query| query.entropy_nats,
        uniform: Some(|keys| (keys as f64).ln()),
    },
    // H / ln(i+1), 0 to 1: a convention of this study.
    Formula {
        measure: HeadMetrics::normalized_entropy,
        of: |query| row::normalize_entropy(query.entropy_nats, query.row.len()),
        uniform: Some(|_| 1.0),
    },
    // Σ_j A[i,j]·(i−j), characters (Vig & Belinkov 2019).
    Formula {
        measure: HeadMetrics::mean_distance,
        of: |query| row::mean_distance(query.row),
        uniform: Some(|keys| (keys - 1) as f64 / 2.0),
    },
    // The smallest d with Σ_{i−j≤d} A[i,j] ≥ 0.9 − 1e-9, summed from j = i downward, characters.
    Formula {
        measure: HeadMetrics::span_90,
        of: |query| row::span_90(query.row),
        // ⌈0.9·keys⌉ − 1, in integer arithmetic.
        uniform: Some(|keys| ((9 * keys).div_ceil(10) - 1) as f64),
    },
    // Σ_{i−j≤2} A[i,j], 0 to 1: the last three characters, the current one included.
    Formula {
        measure: HeadMetrics::local_mass_3,
        of: |query| row::local_mass_3(query.row),
        uniform: Some(|keys| keys.min(3) as f64 / keys as f64),
    },
    // A[i,0], 0 to 1: the attention sink (Xiao et al. 2023; Gu et al. 2024).
    Formula {
        measure: HeadMetrics::first_token_mass,
        of: |query| row::first_token_mass(query.row),
        uniform: Some(one_key),
    },
    // A[i,i], 0 to 1.
    Formula { measure: HeadMetrics::self_mass, of: |query| row::self_mass(query.row), uniform: Some(one_key) },
    // A[i,i−1], 0 to 1 (Olsson et al. 2022).
    Formula {
        measure: HeadMetrics::previous_token_score,
        of: |query| row::previous_token_mass(query.row),
        uniform: Some(one_key),
    },
    // Σ_{j<i, x_j=x_i} A[i,j], 0 to 1.
    Formula {
        measure: HeadMetrics::duplicate_token_score,
        of: |query| row::duplicate_token_mass(query.row, query.tokens),
        uniform: None,
    },
];

/// The measures that are means over `R`.
pub const REPEAT: [Formula<OfRepeat>; 1] = [
    // A[i,i−L+1], 0 to 1: the key after the earlier copy of the current token (prefix matching, Olsson et al. 2022).
    Formula {
        measure: HeadMetrics::induction_score,
        of: |query| query.row[query.row.len() - query.block].clamp(0.0, 1.0),
        uniform: Some(one_key),
    },
];

/// The weight of one key under uniform attention.
fn one_key(keys: usize) -> f64 {
    1.0 / keys as f64
}

/// One head's sums over one probe window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadSums {
    /// Of the formulas of [`VAL`].
    pub val: Sums<{ VAL.len() }>,
    /// Of the formulas of [`REPEAT`].
    pub repeat: Sums<{ REPEAT.len() }>,
}

impl HeadSums {
    /// Adds one query of a `val` window: its row, and the tokens `x_0` to `x_i`. Returns the row's entropy in nats.
    pub fn add(&mut self, row: &[f64], tokens: &[u16]) -> f64 {
        let entropy_nats = row::entropy_nats(row);
        let query = ValQuery { row, tokens, entropy_nats };
        self.val.add(VAL.map(|formula| (formula.of)(&query)));
        entropy_nats
    }

    /// Adds one query of a `repeat` window whose repeated block has `block` tokens, if it is one of `R`. A block of one token
    /// has no key after the earlier copy but the query itself.
    pub fn add_repeat(&mut self, row: &[f64], block: usize) {
        if block >= 2 && row.len() > block {
            let query = RepeatQuery { row, block };
            self.repeat.add(REPEAT.map(|formula| (formula.of)(&query)));
        }
    }

    /// The row of one head from its sums over every window; none where `Q` is empty. Means over `R` are null where `R` is empty.
    pub fn row<'sums>(
        windows: impl Iterator<Item = &'sums Self> + Clone,
        (step, layer, head): (u32, u16, u16),
    ) -> Option<HeadMetrics> {
        let val = Means::over(windows.clone().map(|sums| &sums.val))?;
        let mut row = HeadMetrics { step, layer, head, queries: val.rows, ..HeadMetrics::default() };
        val.fill(&mut row, VAL.each_ref().map(|formula| &formula.measure));
        if let Some(repeat) = Means::over(windows.map(|sums| &sums.repeat)) {
            repeat.fill(&mut row, REPEAT.each_ref().map(|formula| &formula.measure));
        }
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::{Table, Uniform};

    #[test]
    fn every_measure_of_the_table_has_one_formula() {
        let of_val = VAL.iter().map(|formula| (formula.measure, formula.uniform.is_some()));
        let of_repeat = REPEAT.iter().map(|formula| (formula.measure, formula.uniform.is_some()));
        let formulas: Vec<_> = of_val.chain(of_repeat).collect();
        let mut names: Vec<_> = formulas.iter().map(|(measure, _)| measure.name()).collect();
        let mut columns: Vec<_> = HeadMetrics::MEASURES.iter().map(Measure::name).collect();
        names.sort_unstable();
        columns.sort_unstable();
        assert_eq!(names, columns);
        for (measure, has_baseline) in formulas {
            assert_eq!(measure.quantity.uniform == Uniform::Baselines, has_baseline, "{}", measure.name());
        }
    }

    #[test]
    fn rows_weigh_alike() {
        let mut sums = HeadSums::default();
        sums.add(&[1.0, 0.0], &[4, 5]);
        sums.add(&[0.0, 0.0, 1.0], &[4, 5, 4]);
        sums.add(&[0.5, 0.0, 0.0, 0.5], &[4, 5, 4, 4]);
        let means = HeadSums::row([&sums].into_iter(), (7, 1, 2)).expect("three rows");
        assert_eq!((means.step, means.layer, means.head, means.queries), (7, 1, 2, 3));
        assert_eq!(means.mean_distance, (1.0 + 0.0 + 1.5) / 3.0);
        assert_eq!(means.span_90, (1.0 + 0.0 + 3.0) / 3.0);
        assert_eq!(means.local_mass_3, (1.0 + 1.0 + 0.5) / 3.0);
        assert_eq!(means.first_token_mass, 1.5 / 3.0);
        assert_eq!(means.self_mass, 1.5 / 3.0);
        assert_eq!(means.previous_token_score, 1.0 / 3.0);
        assert_eq!(means.duplicate_token_score, 0.5 / 3.0);
        assert!((means.normalized_entropy - 0.5 / 3.0).abs() < 1e-15);
        assert_eq!((means.induction_score, means.entropy_nats_stderr), (None, None));
    }

    #[test]
    fn induction_is_attention_to_the_key_after_the_earlier_copy() {
        let mut sums = HeadSums::default();
        // Tokens a b c a b c: the keys after the earlier copies of queries 3, 4 and 5 are 1, 2 and 3.
        for (query, key) in [(1, 0), (2, 0), (3, 1), (4, 2), (5, 0)] {
            let row: Vec<f64> = (0..=query).map(|position| f64::from(position == key)).collect();
            sums.add_repeat(&row, 3);
        }
        assert_eq!((sums.repeat.means(), sums.repeat.rows()), (Some([2.0 / 3.0]), 3));
    }

    #[test]
    fn nothing_to_average_is_no_row() {
        let mut sums = HeadSums::default();
        sums.add_repeat(&[0.0, 1.0], 1);
        assert_eq!(sums, HeadSums::default());
        assert_eq!(HeadSums::row([&sums].into_iter(), (0, 0, 0)), None);
    }
}
