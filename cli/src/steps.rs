//! Which steps of a training are looked at.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A set of steps, written as numbers and ranges: `0,50,100-2000/100` is 0, 50 and every hundredth from 100 to 2000,
/// both ends included.
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

    /// Whether the step is among them.
    pub fn contains(&self, step: u32) -> bool {
        self.0.binary_search(&step).is_ok()
    }

    /// The last of them.
    pub fn last(&self) -> Option<u32> {
        self.0.last().copied()
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

impl FromStr for Steps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| {
            part.trim().parse::<u32>().map_err(|_| {
                format!("`{part}` in `{text}` is not a step: write numbers and ranges such as `0,50,100-2000/100`")
            })
        };
        let mut steps = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            match part.split_once('-') {
                None => steps.push(number(part)?),
                Some((first, rest)) => {
                    let (last, every) = rest.split_once('/').unwrap_or((rest, "1"));
                    let (first, last, every) = (number(first)?, number(last)?, number(every)?);
                    if every == 0 || last < first {
                        return Err(format!(
                            "`{part}` in `{text}` is empty: a range is first-last/every, every at least 1"
                        ));
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
    /// The shortest such text.
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
    /// from the end. A part is one step, a run of equally spaced ones, or that run without its last step, which may begin
    /// a longer one.
    fn parts(&self) -> Vec<usize> {
        let steps = self.as_slice();
        let mut parts = vec![1; steps.len()];
        let mut runs = vec![1; steps.len()];
        let mut lengths = vec![0; steps.len() + 1];
        for first in (0..steps.len()).rev() {
            runs[first] = match steps[first..] {
                [one, two, three, ..] if two - one == three - two => runs[first + 1] + 1,
                [_, _, ..] => 2,
                _ => 1,
            };
            let candidates = [1, runs[first], runs[first] - 1].into_iter().filter(|&count| count == 1 || count > 2);
            let length = |count: usize| range(&steps[first..][..count]).len() + 1 + lengths[first + count];
            parts[first] = candidates.min_by_key(|&count| length(count)).unwrap_or(1);
            lengths[first] = length(parts[first]);
        }
        parts
    }
}

/// One part: a step, or equally spaced ones.
fn range(steps: &[u32]) -> String {
    match steps {
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
    fn up_to_ends_with_the_last_step() {
        let steps: Steps = "0,100-2000/100".parse().expect("a schedule");
        assert_eq!(steps.up_to(250).as_slice(), [0, 100, 200, 250]);
    }

    #[test]
    fn nonsense_is_named() {
        assert!("0,x".parse::<Steps>().unwrap_err().contains("`x`"));
        assert!("5-1".parse::<Steps>().unwrap_err().contains("empty"));
        assert!("1-5/0".parse::<Steps>().unwrap_err().contains("at least 1"));
    }
}
