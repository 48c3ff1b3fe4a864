//! How a parameter's value is written on a command line.

use std::fmt::Display;
use std::ops::{Bound, RangeBounds};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value as Json};

use crate::{Steps, Study};

/// Reads a value that overrides another: what is written is given, also `null` where a parameter can have no value. What is not
/// written is none.
///
/// # Errors
/// The value is not of the parameter's type.
pub fn given<'text, T: Deserialize<'text>, D: Deserializer<'text>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A type that a parameter can have.
pub trait Value: Clone + Send + Serialize + Sync + 'static {
    /// The placeholder of a value in help.
    const PLACEHOLDER: &'static str;
    /// The words that it can be, each with its help; empty where it is not a choice of words.
    const WORDS: &'static [(&'static str, &'static str)] = &[];
    /// Whether the flag alone means `true`.
    const SWITCH: bool = false;

    /// Parses the word after a flag.
    ///
    /// # Errors
    /// What the value must be, to follow the parameter's name in a message.
    fn parse(text: &str) -> Result<Self, String>;

    /// The word after the flag; none where the flag is left out.
    fn argument(&self) -> Option<String>;

    /// Adds the value to the footer's `config`.
    fn record(&self, name: &str, config: &mut Map<String, Json>) {
        config.insert(name.to_owned(), serde_json::to_value(self).unwrap_or_default());
    }
}

macro_rules! numbers {
    ($($type:ty: $what:literal,)+) => {$(
        impl Value for $type {
            const PLACEHOLDER: &'static str = "NUMBER";

            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!($what, least = <$type>::MIN, most = <$type>::MAX))
            }

            fn argument(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )+};
}

numbers! {
    u16: "must be a whole number from {least} to {most}",
    u32: "must be a whole number from {least} to {most}",
    u64: "must be a whole number from {least} to {most}",
}

impl Value for f64 {
    const PLACEHOLDER: &'static str = "NUMBER";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| "must be a finite number".to_owned())
    }

    fn argument(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for bool {
    const PLACEHOLDER: &'static str = "BOOL";
    const WORDS: &'static [(&'static str, &'static str)] = &[("true", ""), ("false", "")];
    const SWITCH: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "must be true or false".to_owned())
    }

    fn argument(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for String {
    const PLACEHOLDER: &'static str = "TEXT";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn argument(&self) -> Option<String> {
        Some(self.clone())
    }
}

/// Words separated by blanks.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Words(pub Vec<String>);

impl Value for Words {
    const PLACEHOLDER: &'static str = "WORDS";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.split_whitespace().map(str::to_owned).collect()))
    }

    fn argument(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join(" "))
    }
}

impl Value for Steps {
    const PLACEHOLDER: &'static str = "STEPS";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn argument(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for Study {
    const PLACEHOLDER: &'static str = "JSON";

    fn parse(text: &str) -> Result<Self, String> {
        let study: Self = serde_json::from_str(text).map_err(|error| format!("is no study: {error}"))?;
        study.check()?;
        Ok(study)
    }

    fn argument(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    fn record(&self, _name: &str, config: &mut Map<String, Json>) {
        if let Ok(Json::Object(study)) = serde_json::to_value(self) {
            config.extend(study);
        }
    }
}

impl<T: Value> Value for Option<T> {
    const PLACEHOLDER: &'static str = T::PLACEHOLDER;
    const WORDS: &'static [(&'static str, &'static str)] = T::WORDS;
    const SWITCH: bool = T::SWITCH;

    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }

    fn argument(&self) -> Option<String> {
        self.as_ref().and_then(Value::argument)
    }
}

/// Whether a value can be a flag and lies in a range. A value of `pipeline.yaml` can be one that no flag can have, such as infinity.
///
/// # Errors
/// What it must be, to follow the parameter's name in a message.
pub fn check_range<T: Value + Display + PartialOrd>(value: &T, range: &impl RangeBounds<T>) -> Result<(), String> {
    value.argument().map_or(Ok(()), |text| T::parse(&text).map(drop))?;
    if range.contains(value) {
        return Ok(());
    }
    let low = match range.start_bound() {
        Bound::Included(low) => Some(format!("at least {low}")),
        Bound::Excluded(low) => Some(format!("above {low}")),
        Bound::Unbounded => None,
    };
    let high = match range.end_bound() {
        Bound::Included(high) => Some(format!("at most {high}")),
        Bound::Excluded(high) => Some(format!("below {high}")),
        Bound::Unbounded => None,
    };
    let range: Vec<_> = low.into_iter().chain(high).collect();
    Err(format!("is {value}: it must be {}", range.join(" and ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_flag_can_be_is_in_no_range() {
        assert_eq!(check_range(&1.0, &(0.0..)), Ok(()));
        assert_eq!(check_range(&f64::INFINITY, &(0.0..)), Err("must be a finite number".to_owned()));
        assert_eq!(check_range(&-1.0, &(0.0..)), Err("is -1: it must be at least 0".to_owned()));
    }
}
