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
    /// The shortest such text: runs of at least three equally spaced steps become ranges.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        let mut rest = self.as_slice();
        while let [first, tail @ ..] = rest {
            let every = tail.first().map_or(1, |next| next - first);
            let run = rest.windows(2).take_while(|pair| pair[1] - pair[0] == every).count() + 1;
            if run < 3 {
                parts.push(first.to_string());
                rest = tail;
                continue;
            }
            let last = rest[run - 1];
            parts.push(if every == 1 { format!("{first}-{last}") } else { format!("{first}-{last}/{every}") });
            rest = &rest[run..];
        }
        formatter.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_steps_are_each_others_inverse() {
        for text in ["0,50,100-2000/100", "0", "0,3", "0-5", "0,1,7-21/7,30", ""] {
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
