//! A character trigram model: the floor that a neural model's text is held against.

use std::collections::{BTreeMap, HashMap};

use random_streams::{Rng, RngExt};

/// Counts of three consecutive characters, taken in part by part.
#[derive(Default)]
pub struct TrigramCounts {
    start: Vec<u16>,
    last: Vec<u16>,
    counts: HashMap<[u16; 3], u64>,
}

impl TrigramCounts {
    /// Takes in the next part of the text.
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
        // The counts came in no order; what is drawn must not depend on that.
        successors.values_mut().for_each(|next| next.sort_unstable());
        (!successors.is_empty()).then_some(Trigram { start, successors })
    }
}

/// A model that draws each character as often as it followed the two before it. Unsmoothed.
pub struct Trigram {
    start: [u16; 2],
    successors: BTreeMap<[u16; 2], Vec<(u16, u64)>>,
}

impl Trigram {
    /// A text of so many characters that begins with the first two of the text learned. Where nothing ever followed, which
    /// only the end of that text can bring about, it goes on as after those two.
    pub fn write(&self, length: usize, rng: &mut impl Rng) -> Vec<u16> {
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

    /// A successor of two characters that have one.
    fn draw(&self, context: [u16; 2], rng: &mut impl Rng) -> u16 {
        let successors = &self.successors[&context];
        let total: u64 = successors.iter().map(|(_, count)| count).sum();
        let drawn = rng.random_range(0..total);
        let mut cumulative = 0;
        let found = successors.iter().find(|(_, count)| {
            cumulative += count;
            drawn < cumulative
        });
        found.expect("what was drawn is below the counts' sum").0
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
    fn characters_follow_as_often_as_they_did() {
        let model = learn(&[&[0, 1, 0, 1, 2, 0, 1, 0]]).finish().expect("eight characters");
        let mut rng = stream("test", &[&0u64]);
        let draws = 9000;
        let zeros = (0..draws).filter(|_| model.draw([0, 1], &mut rng) == 0).count();
        // Two in three, four standard deviations of √(9000·2/9) around.
        assert!((zeros as f64 - 6000.0).abs() < 4.0 * f64::sqrt(2000.0), "{zeros}");
    }

    #[test]
    fn a_dead_end_starts_again_and_too_short_a_text_is_no_model() {
        // 0 1 2 3 is at its dead end after (2, 3), goes on as after (0, 1) with 2, and then (1, 2) is followed by 3.
        let model = learn(&[&[0, 1, 2, 3]]).finish().expect("four characters");
        let text = model.write(8, &mut stream("test", &[&0u64]));
        assert_eq!(text, [0, 1, 2, 3, 2, 3, 2, 3]);
        assert_eq!(model.write(1, &mut stream("test", &[&0u64])), [0]);
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
