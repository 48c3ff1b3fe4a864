//! A character trigram model, the baseline of generated text.

use std::collections::{BTreeMap, HashMap};

use random_streams::{Rng, RngExt};

/// Trigram counts of a text that is read in parts.
#[derive(Default)]
pub struct TrigramCounts {
    start: Vec<u16>,
    last: Vec<u16>,
    counts: HashMap<[u16; 3], u64>,
}

impl TrigramCounts {
    /// Counts the trigrams of the next part of the text.
    pub fn read(&mut self, tokens: &[u16]) {
        self.start.extend(tokens.iter().take(2 - self.start.len()));
        // The two characters before this part, then the part itself.
        let mut border = std::mem::take(&mut self.last);
        border.extend(tokens.iter().take(2));
        for part in [&border[..], tokens] {
            for trigram in part.windows(3) {
                *self.counts.entry([trigram[0], trigram[1], trigram[2]]).or_default() += 1;
            }
        }
        let end = if tokens.len() < 2 { &border[..] } else { tokens };
        self.last = end[end.len().saturating_sub(2)..].to_vec();
    }

    /// The model; `None` if the text had fewer than three characters.
    pub fn finish(self) -> Option<Trigram> {
        let start = [*self.start.first()?, *self.start.get(1)?];
        let mut successors: BTreeMap<[u16; 2], Vec<(u16, u64)>> = BTreeMap::new();
        for ([a, b, next], count) in self.counts {
            successors.entry([a, b]).or_default().push((next, count));
        }
        // The order of a hash map is random, and draws must not depend on it.
        successors.values_mut().for_each(|next| next.sort_unstable());
        (!successors.is_empty()).then_some(Trigram { start, successors })
    }
}

/// A trigram model: each character is drawn with its relative frequency after the two before it, without smoothing.
pub struct Trigram {
    start: [u16; 2],
    successors: BTreeMap<[u16; 2], Vec<(u16, u64)>>,
}

impl Trigram {
    /// Samples a text of so many characters, which begins with the first two of the training text. After a context without
    /// successor, which only the end of that text can be, it continues as after those two.
    pub fn sample(&self, length: usize, rng: &mut impl Rng) -> Vec<u16> {
        let mut text: Vec<u16> = self.start.iter().copied().take(length).collect();
        let mut context = self.start;
        while text.len() < length {
            if !self.successors.contains_key(&context) {
                context = self.start;
            }
            let next = self.draw(context, rng);
            context = [context[1], next];
            text.push(next);
        }
        text
    }

    /// A successor of two characters that have at least one.
    fn draw(&self, context: [u16; 2], rng: &mut impl Rng) -> u16 {
        let successors = &self.successors[&context];
        let total: u64 = successors.iter().map(|(_, count)| count).sum();
        let drawn = rng.random_range(0..total);
        let mut cumulative = 0;
        let found = successors.iter().find(|(_, count)| {
            cumulative += count;
            drawn < cumulative
        });
        found.expect("the number drawn is below the sum of counts").0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use random_streams::stream;

    use super::*;

    fn learn(parts: &[&[u16]]) -> TrigramCounts {
        let mut counts = TrigramCounts::default();
        parts.iter().for_each(|part| counts.read(part));
        counts
    }

    #[test]
    fn counts_are_those_of_the_text() {
        let model = learn(&[&[0, 1, 0, 1, 2, 0, 1, 0]]).finish().expect("eight characters");
        assert_eq!(model.start, [0, 1]);
        let expected: BTreeMap<[u16; 2], Vec<(u16, u64)>> =
            [([0, 1], vec![(0, 2), (2, 1)]), ([1, 0], vec![(1, 1)]), ([1, 2], vec![(0, 1)]), ([2, 0], vec![(1, 1)])]
                .into();
        assert_eq!(model.successors, expected);
    }

    #[test]
    fn characters_are_drawn_with_their_relative_frequency() {
        let model = learn(&[&[0, 1, 0, 1, 2, 0, 1, 0]]).finish().expect("eight characters");
        let mut rng = stream("test", &[&0u64]);
        let draws = 9000;
        let zeros = (0..draws).filter(|_| model.draw([0, 1], &mut rng) == 0).count();
        // Two in three, within four standard deviations of √(9000·2/9).
        assert!((zeros as f64 - 6000.0).abs() < 4.0 * f64::sqrt(2000.0), "{zeros}");
    }

    #[test]
    fn a_dead_end_restarts_and_two_characters_are_too_few() {
        // (2, 3) has no successor: the text continues as after (0, 1), with 2, which 3 follows.
        let model = learn(&[&[0, 1, 2, 3]]).finish().expect("four characters");
        let text = model.sample(8, &mut stream("test", &[&0u64]));
        assert_eq!(text, [0, 1, 2, 3, 2, 3, 2, 3]);
        assert_eq!(model.sample(1, &mut stream("test", &[&0u64])), [0]);
        assert!(learn(&[&[0, 1]]).finish().is_none());
        assert!(learn(&[]).finish().is_none());
    }

    proptest! {
        #[test]
        fn parts_count_like_the_whole(tokens in prop::collection::vec(0u16..3, 0..60), cuts in prop::collection::vec(0usize..60, 0..5)) {
            let mut borders: Vec<usize> = cuts.into_iter().map(|cut| cut.min(tokens.len())).collect();
            borders.extend([0, tokens.len()]);
            borders.sort_unstable();
            let parts: Vec<&[u16]> = borders.windows(2).map(|border| &tokens[border[0]..border[1]]).collect();
            prop_assert_eq!(learn(&parts).counts, learn(&[&tokens]).counts);
        }
    }
}
