//! Reference texts for the scores of generated texts: real text, real text shuffled, and text of a trigram model. They depend
//! only on the dataset and the length, so they are the same for every run and seed.

use random_streams::{SliceRandom, stream};

use crate::trigram::Trigram;

/// Windows of real text, at most.
pub const VALIDATION_TEXTS: usize = 200;

/// Texts of the trigram model.
pub const TRIGRAM_TEXTS: usize = 50;

/// At most [`VALIDATION_TEXTS`] windows of `length` characters, evenly spaced from the start of the split to its end: window `i`
/// of `n` starts at `⌊i·(split − length)/(n − 1)⌋`. A short split gives as many distinct windows as it has; one shorter than a
/// window is one window.
pub fn validation_windows(split: &[u16], length: usize) -> Vec<&[u16]> {
    if split.is_empty() {
        return Vec::new();
    }
    let length = length.min(split.len());
    let last = split.len() - length;
    let windows = VALIDATION_TEXTS.min(last + 1);
    (0..windows).map(|window| window * last / (windows - 1).max(1)).map(|start| &split[start..start + length]).collect()
}

/// The windows, each with its characters permuted at random.
pub fn shuffled(dataset: &str, windows: &[&[u16]]) -> Vec<Vec<u16>> {
    let shuffle = |(window, text): (usize, &&[u16])| {
        let mut text = text.to_vec();
        text.shuffle(&mut stream("shuffled reference", &[&dataset, &(window as u64)]));
        text
    };
    windows.iter().enumerate().map(shuffle).collect()
}

/// [`TRIGRAM_TEXTS`] texts of the trigram model of the train split.
pub fn trigram_texts(dataset: &str, model: &Trigram, length: usize) -> Vec<Vec<u16>> {
    let text = |text: usize| model.sample(length, &mut stream("trigram reference", &[&dataset, &(text as u64)]));
    (0..TRIGRAM_TEXTS).map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_evenly_spaced_from_start_to_end() {
        let split: Vec<u16> = (0..10_000).collect();
        let windows = validation_windows(&split, 50);
        assert_eq!(windows.len(), 200);
        assert!(windows.iter().all(|window| window.len() == 50));
        assert_eq!((windows[0][0], windows[1][0], windows[199][49]), (0, 50, 9999));
    }

    #[test]
    fn a_short_split_has_fewer_windows() {
        let split: Vec<u16> = (0..12).collect();
        let starts = |length| validation_windows(&split, length).iter().map(|window| window[0]).collect::<Vec<_>>();
        assert_eq!(starts(10), [0, 1, 2]);
        assert_eq!(validation_windows(&split, 12), [&split[..]]);
        assert_eq!(validation_windows(&split, 500), [&split[..]]);
        assert!(validation_windows(&[], 5).is_empty());
    }

    #[test]
    fn shuffling_permutes_and_depends_on_the_dataset_only() {
        let split: Vec<u16> = (0..300).collect();
        let windows = validation_windows(&split, 100);
        let texts = shuffled("text8", &windows);
        for (text, window) in texts.iter().zip(&windows) {
            let mut sorted = text.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, *window);
            assert_ne!(text, window);
        }
        assert_eq!(texts, shuffled("text8", &windows));
        assert_ne!(texts, shuffled("enwik8", &windows));
    }
}
