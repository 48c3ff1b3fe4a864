//! The columns of `head_metrics`.
//!
//! Notation: `A[i,j]` is the head's attention of query `i` to key `j ≤ i`, renormalised in float64; `Q` is every query
//! `i ≥ 1` of every `val` window. The formulas of one row are in the crate `attention_metrics`; what is here is their mean over
//! `Q`, every row weighing alike.

use schemas::tables::HeadMetrics;

/// Sums over attention rows of one head, one for each column of `head_metrics`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadSums {
    /// `H = −Σ_j A[i,j] ln A[i,j]`, in nats (Clark et al. 2019; Zhai et al. 2023).
    pub entropy_nats: f64,
    /// `H / ln(i+1)`, 0 to 1: a convention of this study.
    pub normalized_entropy: f64,
    /// `Σ_j A[i,j]·(i−j)`, in characters: the effective span (Vig & Belinkov 2019).
    pub mean_distance: f64,
    /// The smallest `d` with `Σ_{i−j≤d} A[i,j] ≥ 0.9 − 1e-9`, summed from `j = i` downward, in characters.
    pub span_90: f64,
    /// `Σ_{i−j≤2} A[i,j]`: the last three characters, the current one included.
    pub local_mass_3: f64,
    /// `A[i,0]`: the attention sink (Xiao et al. 2023; Gu et al. 2024).
    pub first_token_mass: f64,
    /// `A[i,i]`.
    pub self_mass: f64,
    /// `A[i,i−1]` (Olsson et al. 2022).
    pub previous_token_score: f64,
    /// `Σ_{j<i, x_j=x_i} A[i,j]`.
    pub duplicate_token_score: f64,
    /// The rows summed: queries `i ≥ 1` of `val` windows.
    pub queries: u64,
    /// `A[i,i−L+1]` for `L ≤ i < 2L` in `repeat` windows, `L` characters and the same again: the key after the earlier copy
    /// of the current character (prefix matching, Olsson et al. 2022).
    pub induction_score: f64,
    /// The rows summed in `induction_score`.
    pub induction_queries: u64,
}

impl HeadSums {
    /// Adds one row of a `val` window, `tokens` being the characters `x_0` to `x_i`. Returns the row's entropy in nats.
    pub fn add(&mut self, row: &[f64], tokens: &[u16]) -> f64 {
        let entropy_nats = attention_metrics::entropy_nats(row);
        self.entropy_nats += entropy_nats;
        self.normalized_entropy += attention_metrics::normalize_entropy(entropy_nats, row.len());
        self.mean_distance += attention_metrics::mean_distance(row);
        self.span_90 += attention_metrics::span_90(row);
        self.local_mass_3 += attention_metrics::local_mass_3(row);
        self.first_token_mass += attention_metrics::first_token_mass(row);
        self.self_mass += attention_metrics::self_mass(row);
        self.previous_token_score += attention_metrics::previous_token_mass(row);
        self.duplicate_token_score += attention_metrics::duplicate_token_mass(row, tokens);
        self.queries += 1;
        entropy_nats
    }

    /// Adds one row of a `repeat` window whose repeated block has `block` characters. Rows of the first copy say nothing of
    /// induction; a block of one character has no key after the earlier copy but the query itself.
    pub fn add_induction(&mut self, row: &[f64], block: usize) {
        if block >= 2 && row.len() > block {
            self.induction_score += row[row.len() - block].clamp(0.0, 1.0);
            self.induction_queries += 1;
        }
    }

    /// Adds the sums over another window.
    pub fn merge(&mut self, other: &Self) {
        self.entropy_nats += other.entropy_nats;
        self.normalized_entropy += other.normalized_entropy;
        self.mean_distance += other.mean_distance;
        self.span_90 += other.span_90;
        self.local_mass_3 += other.local_mass_3;
        self.first_token_mass += other.first_token_mass;
        self.self_mass += other.self_mass;
        self.previous_token_score += other.previous_token_score;
        self.duplicate_token_score += other.duplicate_token_score;
        self.queries += other.queries;
        self.induction_score += other.induction_score;
        self.induction_queries += other.induction_queries;
    }

    /// The means over `Q`; none where `Q` is empty. `induction_score` is null where no `repeat` window has a block of at
    /// least two characters.
    pub fn means(&self, step: u32, layer: u16, head: u16) -> Option<HeadMetrics> {
        let queries = (self.queries > 0).then_some(self.queries as f64)?;
        Some(HeadMetrics {
            step,
            layer,
            head,
            entropy_nats: self.entropy_nats / queries,
            normalized_entropy: self.normalized_entropy / queries,
            mean_distance: self.mean_distance / queries,
            span_90: self.span_90 / queries,
            local_mass_3: self.local_mass_3 / queries,
            first_token_mass: self.first_token_mass / queries,
            self_mass: self.self_mass / queries,
            previous_token_score: self.previous_token_score / queries,
            duplicate_token_score: self.duplicate_token_score / queries,
            induction_score: (self.induction_queries > 0).then(|| self.induction_score / self.induction_queries as f64),
            queries: self.queries,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_weigh_alike() {
        let mut sums = HeadSums::default();
        sums.add(&[1.0, 0.0], &[4, 5]);
        sums.add(&[0.0, 0.0, 1.0], &[4, 5, 4]);
        sums.add(&[0.5, 0.0, 0.0, 0.5], &[4, 5, 4, 4]);
        let means = sums.means(7, 1, 2).expect("three rows");
        assert_eq!((means.step, means.layer, means.head, means.queries), (7, 1, 2, 3));
        assert_eq!(means.mean_distance, (1.0 + 0.0 + 1.5) / 3.0);
        assert_eq!(means.span_90, (1.0 + 0.0 + 3.0) / 3.0);
        assert_eq!(means.local_mass_3, (1.0 + 1.0 + 0.5) / 3.0);
        assert_eq!(means.first_token_mass, 1.5 / 3.0);
        assert_eq!(means.self_mass, 1.5 / 3.0);
        assert_eq!(means.previous_token_score, 1.0 / 3.0);
        assert_eq!(means.duplicate_token_score, 0.5 / 3.0);
        assert!((means.normalized_entropy - 0.5 / 3.0).abs() < 1e-15);
        assert_eq!(means.induction_score, None);
    }

    #[test]
    fn induction_looks_at_the_key_after_the_earlier_copy() {
        let mut sums = HeadSums::default();
        // Tokens a b c a b c: queries 3, 4, 5 should look at keys 1, 2, 3.
        for (query, key) in [(1, 0), (2, 0), (3, 1), (4, 2), (5, 0)] {
            let row: Vec<f64> = (0..=query).map(|position| f64::from(position == key)).collect();
            sums.add_induction(&row, 3);
        }
        assert_eq!((sums.induction_score, sums.induction_queries), (2.0, 3));
    }

    #[test]
    fn nothing_to_average_is_no_row() {
        assert_eq!(HeadSums::default().means(0, 0, 0), None);
        let mut sums = HeadSums::default();
        sums.add_induction(&[0.0, 1.0], 1);
        assert_eq!(sums, HeadSums::default());
    }
}
