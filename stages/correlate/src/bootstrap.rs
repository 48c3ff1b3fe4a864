//! The hierarchical bootstrap: seeds with replacement and, within each, samples with replacement.

use random_streams::{ChaCha8Rng, RngExt};

use crate::association::Paired;
use crate::rank::{mean, spearman};

/// How often a study is resampled.
pub const REPLICATES: usize = 2_000;

/// The 95 % percentile interval of the mean over seeds of Spearman's correlation, over seeds and samples (Davison and Hinkley
/// 1997, section 3.8). A seed whose resampled observations have no correlation is left out of its replicate. Conservative, since
/// the differences between seeds already contain the noise of their samples. None without replicates, and with fewer than two
/// seeds that have a correlation.
pub fn over_seeds_and_samples(seeds: &[Paired], replicates: usize, mut stream: ChaCha8Rng) -> Option<(f64, f64)> {
    let seeds: Vec<&Paired> = seeds.iter().filter(|seed| spearman(&seed.x, &seed.y).is_ok()).collect();
    if seeds.len() < 2 {
        return None;
    }
    let (mut x, mut y) = (Vec::new(), Vec::new());
    let mut resampled = || {
        let seed = seeds[stream.random_range(0..seeds.len())];
        x.clear();
        y.clear();
        for _ in 0..seed.x.len() {
            let sample = stream.random_range(0..seed.x.len());
            x.push(seed.x[sample]);
            y.push(seed.y[sample]);
        }
        spearman(&x, &y).ok()
    };
    let mut replicate = || mean(&(0..seeds.len()).filter_map(|_| resampled()).collect::<Vec<_>>());
    let mut means: Vec<f64> = (0..replicates).map(|_| replicate()).filter(|mean| mean.is_finite()).collect();
    means.sort_by(f64::total_cmp);
    let tail = means.len() / 40;
    Some((*means.get(tail)?, *means.get(means.len().checked_sub(tail + 1)?)?))
}

#[cfg(test)]
mod tests {
    use random_streams::stream;

    use super::*;

    /// Seeds of white noise, with `y = effect·x + noise`.
    fn study(number: u64, seeds: u64, samples: usize, effect: f64) -> Vec<Paired> {
        (0..seeds)
            .map(|seed| {
                let mut stream = stream("bootstrap test", &[&number, &seed]);
                let x: Vec<f64> = (0..samples).map(|_| stream.random::<f64>()).collect();
                let y = x.iter().map(|x| effect * x + stream.random::<f64>()).collect();
                Paired { seed, x, y }
            })
            .collect()
    }

    #[test]
    fn the_interval_covers_no_effect_and_excludes_a_strong_one() {
        let interval = |number, effect| {
            let study = study(number, 6, 20, effect);
            over_seeds_and_samples(&study, REPLICATES, stream("bootstrap", &[&number])).expect("six seeds")
        };
        let covered = (0..60).map(|number| interval(number, 0.0)).filter(|(low, high)| *low <= 0.0 && *high >= 0.0);
        let covered = covered.count();
        assert!(covered >= 54, "{covered} of 60");
        assert!((0..20).all(|number| interval(number, 3.0).0 > 0.5));
    }

    #[test]
    fn the_same_stream_gives_the_same_interval_and_one_seed_none() {
        let study = study(1, 3, 10, 1.0);
        let interval = || over_seeds_and_samples(&study, REPLICATES, stream("bootstrap", &[&1_u64]));
        assert!(interval().is_some() && interval() == interval());
        assert_eq!(over_seeds_and_samples(&study[..1], REPLICATES, stream("bootstrap", &[&1_u64])), None);
        let constant = vec![Paired { seed: 1, x: vec![1.0; 5], y: vec![1.0; 5] }; 3];
        assert_eq!(over_seeds_and_samples(&constant, REPLICATES, stream("bootstrap", &[&1_u64])), None);
    }
}
