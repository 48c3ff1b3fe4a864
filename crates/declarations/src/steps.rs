//! Sets of training steps.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A set of steps, written as numbers and ranges: `0,50,100-2000/100` is 0, 50 and every hundredth from 100 to 2000,
/// both ends included; `1-512*2` is 1, 2, 4, 8 and so on, each twice the one before, up to 512. So the schedule of Pythia
/// (Biderman et al. 2023) is `0,1-512*2,1000-143000/1000`.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Steps(Vec<u32>);

impl Steps {
    /// The steps, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> + ExactSizeIterator + '_ {
        self.0.iter().copied()
    }

    /// The steps, ascending.
    pub fn as_slice(&self) -> &[u32] {
        &self.0
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first, the middle and the last of them, each once.
    #[must_use]
    pub fn first_middle_last(&self) -> Self {
        let positions = [0, self.0.len() / 2, self.0.len().saturating_sub(1)];
        positions.iter().filter_map(|&position| self.0.get(position).copied()).collect()
    }

    /// Whether the step is among them.
    pub fn contains(&self, step: u32) -> bool {
        self.0.binary_search(&step).is_ok()
    }

    /// The last of them.
    pub fn last(&self) -> Option<u32> {
        self.0.last().copied()
    }

    /// Whether they are log-spaced, so that a linear axis would crowd the early ones: at least 3 of the steps after 0 lie
    /// below `last / n`, where the first of `n` evenly spaced ones would be.
    pub fn is_log_spaced(&self) -> bool {
        let later: Vec<u64> = self.iter().filter(|step| *step > 0).map(u64::from).collect();
        let early = |step: &&u64| **step * (later.len() as u64) < later[later.len() - 1];
        later.iter().filter(early).count() >= 3
    }

    /// Those up to a step, and that step itself.
    #[must_use]
    pub fn up_to(&self, last: u32) -> Self {
        self.iter().filter(|&step| step < last).chain([last]).collect()
    }
}

impl FromIterator<u32> for Steps {
    fn from_iter<I: IntoIterator<Item = u32>>(steps: I) -> Self {
        let mut steps: Vec<u32> = steps.into_iter().collect();
        steps.sort_unstable();
        steps.dedup();
        Self(steps)
    }
}

/// Steps at most: more than anybody looks at, and few enough to hold.
const MOST: u32 = 1_000_000;

impl FromStr for Steps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| {
            part.trim().parse::<u32>().map_err(|_| {
                format!("`{part}` in `{text}` is not a step: write numbers and ranges such as `0,50,100-2000/100` or `1-512*2`")
            })
        };
        let mut steps = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            match part.split_once('-') {
                None => steps.push(number(part)?),
                Some((first, rest)) if rest.contains('*') => {
                    let (last, factor) = rest.split_once('*').unwrap_or((rest, ""));
                    let (first, last, factor) = (number(first)?, number(last)?, number(factor)?);
                    if factor < 2 || first == 0 || last < first {
                        return Err(format!(
                            "`{part}` in `{text}` does not grow: such a range is first-last*factor, first at least 1 and \
                             factor at least 2"
                        ));
                    }
                    let next = |step: &u32| step.checked_mul(factor).filter(|next| *next <= last);
                    steps.extend(std::iter::successors(Some(first), next));
                }
                Some((first, rest)) => {
                    let (last, every) = rest.split_once('/').unwrap_or((rest, "1"));
                    let (first, last, every) = (number(first)?, number(last)?, number(every)?);
                    if every == 0 || last < first {
                        return Err(format!(
                            "`{part}` in `{text}` is empty: a range is first-last/every, every at least 1"
                        ));
                    }
                    // Of all ranges together, as a short text has room for many.
                    if steps.len() as u64 + u64::from((last - first) / every) >= u64::from(MOST) {
                        return Err(format!("`{part}` in `{text}`: more than {MOST} steps are too many"));
                    }
                    steps.extend((first..=last).step_by(every as usize));
                }
            }
        }
        Ok(steps.into_iter().collect())
    }
}

impl TryFrom<String> for Steps {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Steps> for String {
    fn from(steps: Steps) -> Self {
        steps.to_string()
    }
}

impl fmt::Display for Steps {
    /// The shortest such text; but three steps such as 50, 100, 200 may double by chance, so a range that grows has four.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts();
        let mut rest = self.as_slice();
        let mut separator = "";
        while !rest.is_empty() {
            let (part, tail) = rest.split_at(parts[self.0.len() - rest.len()]);
            write!(formatter, "{separator}{}", range(part))?;
            (rest, separator) = (tail, ",");
        }
        Ok(())
    }
}

impl Steps {
    /// For each step, how many steps the part has that begins there, if all that follows is to be written shortest: found
    /// from the end. A part is one step; a run of equally spaced ones, or that run without its last step, which may begin
    /// another; or a run in which each is the same multiple of the one before, or that run without its last or last two
    /// steps, as both may be the first of equally spaced ones.
    fn parts(&self) -> Vec<usize> {
        let steps = self.as_slice();
        let mut parts = vec![1; steps.len()];
        let mut spaced = vec![1; steps.len()];
        let mut growing = vec![1; steps.len()];
        let mut lengths = vec![0; steps.len() + 1];
        for first in (0..steps.len()).rev() {
            (spaced[first], growing[first]) = match steps[first..] {
                [one, two, three, ..] if two - one == three - two => (spaced[first + 1] + 1, 2),
                [one, two, three, ..] if factor(one, two).and_then(|factor| two.checked_mul(factor)) == Some(three) => {
                    (2, growing[first + 1].max(2) + 1)
                }
                [_, _, ..] => (2, 2),
                _ => (1, 1),
            };
            let (spaced, growing): (usize, usize) = (spaced[first], growing[first]);
            let equal = [1, spaced, spaced - 1].into_iter().filter(|&count| count == 1 || count > 2);
            let multiples = [growing, growing - 1, growing.saturating_sub(2)].into_iter().filter(|&count| count > 3);
            let candidates = equal.chain(multiples);
            let length = |count: usize| range(&steps[first..][..count]).len() + 1 + lengths[first + count];
            parts[first] = candidates.min_by_key(|&count| length(count)).unwrap_or(1);
            lengths[first] = length(parts[first]);
        }
        parts
    }
}

/// How many times the first the second is, if that is a whole number.
fn factor(first: u32, second: u32) -> Option<u32> {
    (first > 0 && second.is_multiple_of(first)).then(|| second / first)
}

/// One part: a step, equally spaced ones, or ones that grow by a factor.
fn range(steps: &[u32]) -> String {
    match *steps {
        [first, second, third, ..] if third - second != second - first => {
            let factor = factor(first, second).unwrap_or(1);
            format!("{first}-{}*{factor}", steps[steps.len() - 1])
        }
        [first, second, .., last] if second - first == 1 => format!("{first}-{last}"),
        [first, second, .., last] => format!("{first}-{last}/{}", second - first),
        [first, ..] => first.to_string(),
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_steps_are_each_others_inverse() {
        for text in ["0,50,100-2000/100", "0", "0,3", "0-5", "0,1,7-21/7,30", "0,5,10,20", ""] {
            let steps: Steps = text.parse().expect("a schedule");
            assert_eq!(steps.to_string(), text);
        }
        let steps: Steps = "2, 0, 1-2".parse().expect("a schedule");
        assert_eq!(steps.as_slice(), [0, 1, 2]);
    }

    #[test]
    fn steps_can_grow_by_a_factor() {
        let pythia: Steps = "0,1-512*2,1000-143000/1000".parse().expect("a schedule");
        assert_eq!(pythia.as_slice()[..12], [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]);
        assert_eq!((pythia.iter().len(), pythia.last()), (1 + 10 + 143, Some(143_000)));
        for text in ["0,1-512*2,1000-143000/1000", "1-27*3", "0,2-128*4", "1-64*2,96-320/32", "0-90/10,100-1600*2"] {
            assert_eq!(text.parse::<Steps>().expect("a schedule").to_string(), text);
        }
        // What the factor skips is not there, and nothing overflows.
        assert_eq!("3-25*2".parse::<Steps>().expect("a schedule").as_slice(), [3, 6, 12, 24]);
        assert_eq!("2000000000-4294967295*3".parse::<Steps>().expect("a schedule").as_slice(), [2_000_000_000]);
    }

    /// The length of the shortest text, by trying every way to part the steps.
    fn shortest(steps: &[u32]) -> usize {
        let mut lengths = vec![0; steps.len() + 1];
        for first in (0..steps.len()).rev() {
            let parts = (1..=steps.len() - first).filter(|&count| {
                let part = &steps[first..][..count];
                let text = range(part);
                let least = if text.contains('*') { 4 } else { 3 };
                count == 1 || count >= least && text.parse::<Steps>().is_ok_and(|parsed| parsed.as_slice() == part)
            });
            let length = |count: usize| range(&steps[first..][..count]).len() + 1 + lengths[first + count];
            lengths[first] = parts.map(length).min().expect("a step alone is a part");
        }
        lengths[0].saturating_sub(1)
    }

    #[test]
    fn no_shorter_text_has_the_same_steps() {
        // Every set of these numbers, which lie on several runs each.
        let numbers = [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 96, 128, 192, 256];
        for set in 0..1_u32 << numbers.len() {
            let steps: Steps = (0..numbers.len()).filter(|bit| set >> bit & 1 == 1).map(|bit| numbers[bit]).collect();
            let text = steps.to_string();
            assert_eq!(text.parse::<Steps>().expect("a schedule"), steps, "{text}");
            assert_eq!(text.len(), shortest(steps.as_slice()), "{text}");
        }
    }

    #[test]
    fn a_schedule_is_log_spaced_where_most_octaves_are_early() {
        for (text, expected) in [
            ("0,1-512*2,1000-143000/1000", true),
            ("0,1-512*2,600-2000/100", true),
            ("0,1-64*2", true),
            ("0,1,2,5,100-1000/100", true),
            ("0,50,100-2000/100", false),
            ("0-100000/5000", false),
            ("0,5,10,20", false),
            ("0", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<Steps>().expect("a schedule").is_log_spaced(), expected, "{text}");
        }
    }

    #[test]
    fn up_to_ends_with_the_last_step() {
        let steps: Steps = "0,100-2000/100".parse().expect("a schedule");
        assert_eq!(steps.up_to(250).as_slice(), [0, 100, 200, 250]);
    }

    #[test]
    fn a_few_steps_stand_for_all() {
        let of = |text: &str| text.parse::<Steps>().expect("a schedule").first_middle_last().to_string();
        assert_eq!([of("0,50,100-300/100"), of("0,100"), of("0"), of("")], ["0,100,300", "0,100", "0", ""]);
    }

    #[test]
    fn many_ranges_together_are_refused_like_a_long_one() {
        let most = "0-999999".parse::<Steps>().expect("as many as may be");
        assert_eq!(most.count(), MOST);
        for text in ["0-1000000", "0-999999,2000000-2000001", "0-599999,0-599999"] {
            assert!(text.parse::<Steps>().unwrap_err().contains("more than 1000000 steps"), "{text}");
        }
    }

    #[test]
    fn nonsense_is_named() {
        assert!("0,x".parse::<Steps>().unwrap_err().contains("`x`"));
        assert!("5-1".parse::<Steps>().unwrap_err().contains("empty"));
        assert!("1-5/0".parse::<Steps>().unwrap_err().contains("at least 1"));
        for text in ["0-8*2", "1-8*1", "8-1*2"] {
            assert!(text.parse::<Steps>().unwrap_err().contains("does not grow"), "{text}");
        }
        assert!("1-8*x".parse::<Steps>().unwrap_err().contains("`x`"));
    }
}
