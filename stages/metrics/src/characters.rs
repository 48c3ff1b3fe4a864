//! The rows of `attended_characters`: which characters a head attends to, beside what uniform attention would give.
//!
//! Notation: `A[i,j]` is the head's attention of query `i` to key `j ≤ i`; `x_j` is the token at `j`; `Q` is every query `i ≥ 1` of
//! every `val` window. For a token `c`, `share` is the mean over `Q` of `Σ_{j≤i, x_j=c} A[i,j]`, and `uniform_share` the mean of
//! `|{j ≤ i: x_j = c}| / (i+1)`, both 0 to 1. Every token that occurs in a `val` window has a row, so a head's shares sum to 1.

use std::collections::BTreeMap;

use schemas::tables::AttendedCharacters;

/// `Σ_{i≥1} A[i,j]` by key `j`: what each position of one `val` window receives from one head.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Received(Vec<f64>);

impl Received {
    /// Of a window of `length` tokens, before any query.
    pub fn new(length: usize) -> Self {
        Self(vec![0.0; length])
    }

    /// Adds one query's row.
    pub fn add(&mut self, row: &[f64]) {
        self.0.iter_mut().zip(row).for_each(|(sum, weight)| *sum += weight);
    }

    /// Under uniform causal attention, `A[i,j] = 1/(i+1)`.
    fn uniform(length: usize) -> Self {
        let mut received = Self::new(length);
        let mut sum = 0.0;
        for key in (0..length).rev() {
            // Query 0 does not count.
            sum += if key == 0 { 0.0 } else { 1.0 / (key + 1) as f64 };
            received.0[key] = sum;
        }
        received
    }
}

/// The `val` windows' tokens, and what they receive under uniform attention.
pub struct Attended {
    /// The tokens that occur, in order, each with its share under uniform attention.
    uniform: Vec<(u16, f64)>,
}

impl Attended {
    /// Of these windows.
    pub fn new<'tokens>(windows: impl Iterator<Item = &'tokens [u16]> + Clone) -> Self {
        let uniform: Vec<_> = windows.clone().map(|tokens| Received::uniform(tokens.len())).collect();
        Self { uniform: shares(uniform.iter().zip(windows)) }
    }

    /// The rows of one head, from what it gives the positions of each window, in the order of the tokens; none where `Q` is empty.
    pub fn rows<'sums>(
        &self,
        windows: impl Iterator<Item = (&'sums Received, &'sums [u16])>,
        (step, layer, head): (u32, u16, u16),
    ) -> Vec<AttendedCharacters> {
        let row = |((token, share), (_, uniform_share)): ((u16, f64), &(u16, f64))| AttendedCharacters {
            step,
            layer,
            head,
            token,
            share,
            uniform_share: *uniform_share,
        };
        shares(windows).into_iter().zip(&self.uniform).map(row).collect()
    }
}

/// Each token's share of what all positions receive, in the order of the tokens. Windows of one token, which have no query, do
/// not count.
fn shares<'received, 'tokens>(windows: impl Iterator<Item = (&'received Received, &'tokens [u16])>) -> Vec<(u16, f64)> {
    let (mut sums, mut queries) = (BTreeMap::<u16, f64>::new(), 0);
    for (received, tokens) in windows.filter(|(_, tokens)| tokens.len() > 1) {
        queries += tokens.len() - 1;
        for (&token, received) in tokens.iter().zip(&received.0) {
            *sums.entry(token).or_default() += received;
        }
    }
    sums.into_iter().map(|(token, sum)| (token, (sum / queries as f64).clamp(0.0, 1.0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_attends_to_one_character_gives_it_everything() {
        // Tokens 5 3 5 3: uniform attention gives token 5, at keys 0 and 2, 1/2, 2/3 and 2/4 of queries 1 to 3.
        let tokens: &[u16] = &[5, 3, 5, 3];
        let attended = Attended::new([tokens].into_iter());
        let mut received = Received::new(4);
        for row in [&[1.0, 0.0][..], &[0.5, 0.0, 0.5], &[0.0, 0.0, 1.0, 0.0]] {
            received.add(row);
        }
        let rows = attended.rows([(&received, tokens)].into_iter(), (7, 1, 2));
        let uniform = (0.5 + 2.0 / 3.0 + 0.5) / 3.0;
        assert_eq!(rows.iter().map(|row| (row.token, row.share)).collect::<Vec<_>>(), [(3, 0.0), (5, 1.0)]);
        assert!(
            (rows[1].uniform_share - uniform).abs() < 1e-15 && (rows[0].uniform_share + uniform - 1.0).abs() < 1e-15
        );
        assert_eq!((rows[0].step, rows[0].layer, rows[0].head), (7, 1, 2));
    }

    #[test]
    fn windows_without_a_query_have_no_rows() {
        let tokens: &[u16] = &[4];
        let attended = Attended::new([tokens].into_iter());
        assert!(attended.rows([(&Received::new(1), tokens)].into_iter(), (0, 0, 0)).is_empty());
    }
}
