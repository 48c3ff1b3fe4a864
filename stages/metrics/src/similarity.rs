//! The measures of `layer_similarity`: how similar the attention of two layers is.
//!
//! Notation: `P_l = mean_h A^{l,h}` is the attention of layer `l`; `Q` is every query `i ≥ 1` of every `val` window; a pair
//! is `a < b`.
//!
//! - `js_divergence`: mean over `Q` of `JSD(P_a[i,·], P_b[i,·])`, the divergence and not its root, in bits, 0 to 1.
//! - `js_similarity`: `1 − js_divergence`.
//! - `cosine_similarity`: mean over `val` windows of `⟨P_a,P_b⟩ / (‖P_a‖·‖P_b‖)`, each flattened over rows `i ≥ 1`, 0 to 1; 0
//!   where a norm is 0.
//! - `centered_cosine_similarity`: the same after subtracting uniform causal attention, `1/(i+1)`, from both, −1 to 1; 0 where
//!   either is uniform. The triangle that all layers share inflates the plain cosine.

use schemas::tables::LayerSimilarity;

use crate::means::{Means, Sums};

/// The pairs of layers, `a < b`, in the order of the table.
pub fn pairs(layers: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..layers).flat_map(move |a| (a + 1..layers).map(move |b| (a, b)))
}

/// One pair's sums over one probe window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairSums {
    /// Over queries: `JSD(P_a[i,·], P_b[i,·])`.
    divergence: Sums<1>,
    /// Over windows (this one counts if it has a query): the cosine and the centered cosine.
    cosines: Sums<2>,
}

impl PairSums {
    /// The row of one pair of layers from its sums over every window; none where `Q` is empty.
    pub fn row<'sums>(
        windows: impl Iterator<Item = &'sums Self> + Clone,
        (step, layer_a, layer_b): (u32, u16, u16),
    ) -> Option<LayerSimilarity> {
        let mut row = LayerSimilarity { step, layer_a, layer_b, ..LayerSimilarity::default() };
        Means::over(windows.clone().map(|sums| &sums.divergence))?.fill(&mut row, [&LayerSimilarity::js_divergence]);
        row.js_similarity = 1.0 - row.js_divergence;
        row.js_similarity_stderr = row.js_divergence_stderr;
        let cosines = [&LayerSimilarity::cosine_similarity, &LayerSimilarity::centered_cosine_similarity];
        Means::over(windows.map(|sums| &sums.cosines))?.fill(&mut row, cosines);
        Some(row)
    }
}

/// Inner products of layers' attention, flattened over the rows of one window.
#[derive(Clone, Copy, Debug, Default)]
struct Products {
    plain: f64,
    centered: f64,
}

impl Products {
    fn add(&mut self, p: &[f64], q: &[f64]) {
        self.plain += attention_metrics::inner_product(p, q);
        self.centered += attention_metrics::centered_inner_product(p, q);
    }
}

/// The pairs of layers in one window, query by query.
#[derive(Clone, Debug)]
pub struct WindowPairs {
    norms: Vec<Products>,
    products: Vec<Products>,
    divergences: Vec<Sums<1>>,
}

impl WindowPairs {
    /// The sums before the first query.
    pub fn new(layers: usize) -> Self {
        let count = pairs(layers).count();
        Self {
            norms: vec![Products::default(); layers],
            products: vec![Products::default(); count],
            divergences: vec![Sums::default(); count],
        }
    }

    /// Adds one query: the layers' attention to its keys, and the entropies of these rows in nats.
    pub fn add(&mut self, layers: &[Vec<f64>], entropies_nats: &[f64]) {
        for (norm, layer) in self.norms.iter_mut().zip(layers) {
            norm.add(layer, layer);
        }
        for (pair, (a, b)) in pairs(layers.len()).enumerate() {
            self.products[pair].add(&layers[a], &layers[b]);
            self.divergences[pair].add([attention_metrics::js_divergence_bits_from_entropies(
                attention_metrics::mixture_entropy_nats(&layers[a], &layers[b]),
                (entropies_nats[a] + entropies_nats[b]) / 2.0,
                2,
            )]);
        }
    }

    /// The window's sums, pair by pair.
    pub fn finish(self) -> Vec<PairSums> {
        let of_pair = |(((a, b), products), divergence): (((usize, usize), &Products), Sums<1>)| {
            let (a, b) = (self.norms[a], self.norms[b]);
            let mut cosines = Sums::default();
            if divergence.rows() > 0 {
                let plain = cosine(products.plain, a.plain, b.plain).clamp(0.0, 1.0);
                let uniform = is_uniform(a) || is_uniform(b);
                let centered = if uniform { 0.0 } else { cosine(products.centered, a.centered, b.centered) };
                cosines.add([plain, centered]);
            }
            PairSums { divergence, cosines }
        };
        pairs(self.norms.len()).zip(&self.products).zip(self.divergences).map(of_pair).collect()
    }
}

/// `⟨a,b⟩ / (‖a‖·‖b‖)` from the product and the squared norms, −1 to 1; 0 where a norm is 0.
fn cosine(product: f64, a_squared: f64, b_squared: f64) -> f64 {
    let norms = a_squared.sqrt() * b_squared.sqrt();
    if norms > 0.0 { (product / norms).clamp(-1.0, 1.0) } else { 0.0 }
}

/// Whether the rest after subtracting uniform attention is only rounding error. Float64 leaves some 1e-16 of the norm; a single
/// float32 weight that is off by its last bit leaves more than 1e-12.
fn is_uniform(norm: Products) -> bool {
    norm.centered <= 1e-24 * norm.plain
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The row of the only pair of two layers, each given as its rows `i ≥ 1` of one window.
    fn pair(a: &[Vec<f64>], b: &[Vec<f64>]) -> LayerSimilarity {
        let mut window = WindowPairs::new(2);
        for (a, b) in a.iter().zip(b) {
            window.add(
                &[a.clone(), b.clone()],
                &[attention_metrics::entropy_nats(a), attention_metrics::entropy_nats(b)],
            );
        }
        PairSums::row(window.finish().iter(), (3, 0, 1)).expect("two queries")
    }

    #[test]
    fn pairs_are_ordered() {
        assert_eq!(pairs(3).collect::<Vec<_>>(), [(0, 1), (0, 2), (1, 2)]);
        assert_eq!((pairs(1).count(), pairs(0).count()), (0, 0));
    }

    #[test]
    fn equal_layers_are_alike_and_disjoint_ones_are_not() {
        let (a, b) = ([vec![1.0, 0.0], vec![0.0, 1.0, 0.0]], [vec![0.0, 1.0], vec![0.0, 0.0, 1.0]]);
        let same = pair(&a, &a);
        assert_eq!((same.js_divergence, same.js_similarity), (0.0, 1.0));
        assert!((same.cosine_similarity - 1.0).abs() < 1e-15 && (same.centered_cosine_similarity - 1.0).abs() < 1e-15);
        let apart = pair(&a, &b);
        assert_eq!((apart.js_divergence, apart.js_similarity, apart.cosine_similarity), (1.0, 0.0, 0.0));
        // Row 1: centered (½,−½)·(−½,½) = −½, norms² ½. Row 2: (−⅓,⅔,−⅓)·(−⅓,−⅓,⅔) = −⅓, norms² ⅔.
        assert!((apart.centered_cosine_similarity - (-5.0 / 7.0)).abs() < 1e-15);
    }

    #[test]
    fn uniform_attention_has_no_direction() {
        let uniform: Vec<Vec<f64>> = (2..40).map(|keys| vec![1.0 / f64::from(keys); keys as usize]).collect();
        let first: Vec<Vec<f64>> = (2..40).map(|keys| (0..keys).map(|key| f64::from(key == 0)).collect()).collect();
        assert_eq!(pair(&uniform, &first).centered_cosine_similarity, 0.0);
        assert_eq!(pair(&uniform, &uniform).centered_cosine_similarity, 0.0);
        assert!((pair(&uniform, &uniform).cosine_similarity - 1.0).abs() < 1e-14);
    }

    #[test]
    fn nothing_to_average_is_no_row() {
        assert_eq!(PairSums::row(WindowPairs::new(2).finish().iter(), (0, 0, 1)), None);
    }
}
