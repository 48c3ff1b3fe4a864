//! What datasets, runs and seeds can be called: names and numbers that every reader of the tables takes for what they are.
//!
//! They are in the paths of the tables, and readers guess the type of what a path says (Hive partitions). Of text that starts
//! with a letter or `_`, polars 2.1 takes `inf`, `nan`, `true` and `false` for numbers and booleans, DuckDB 2.0 `inf`,
//! `infinity` and `epoch` for dates, and both and pandas 3.1 `__HIVE_DEFAULT_PARTITION__` for a missing value; other readers
//! take more. What starts with a digit can be a number or a date to any of them.

/// Words that some reader takes for a number, a boolean, a date or a missing value, in any case.
const RETYPED: [&str; 12] = [
    "__hive_default_partition__",
    "epoch",
    "false",
    "inf",
    "infinity",
    "na",
    "nan",
    "nat",
    "nil",
    "none",
    "null",
    "true",
];

/// The largest seed: readers take numbers in paths for 64-bit signed integers.
pub const LARGEST_SEED: u64 = i64::MAX.cast_unsigned();

/// Checks the name of a dataset or a run, which names a folder.
///
/// # Errors
/// What a name may be, and why.
pub fn file_name(text: &str) -> Result<String, String> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
    if !text.chars().all(allowed) || !text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_') {
        let rule = "it names a folder, so it has letters, digits, `_`, `-` and `.`, and starts with a letter or `_`";
        return Err(rule.to_owned());
    }
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(format!(
            "it starts with a digit, and polars, pandas and DuckDB take such names in paths for numbers or dates: start it \
             with a letter or `_`, such as `_{text}`"
        ));
    }
    if RETYPED.contains(&text.to_ascii_lowercase().as_str()) {
        return Err(format!(
            "polars, pandas, DuckDB or another reader takes this name in a path for a number, a boolean, a date or a missing \
             value: use another, such as `_{text}`"
        ));
    }
    Ok(text.to_owned())
}

/// Checks a seed.
///
/// # Errors
/// What a seed may be, to stand behind it.
pub fn check_seed(seed: u64) -> Result<u64, String> {
    if seed <= LARGEST_SEED {
        return Ok(seed);
    }
    Err(format!("is {seed}: at most {LARGEST_SEED}, since readers of the tables take seeds for 64-bit signed integers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folders_of_their_own() {
        for name in ["run_0", "my-text.v2", "_7", "_", "nan_1", "info", "e5", "May-2024"] {
            assert_eq!(file_name(name).as_deref(), Ok(name));
        }
        for name in ["", ".", "..", "../evil", "a/b", "run 9", "é", ".hidden", "-x", "a=b", "a\n"] {
            assert!(file_name(name).is_err_and(|rule| rule.contains("names a folder")), "{name}");
        }
    }

    #[test]
    fn what_readers_take_for_something_else_is_no_name() {
        for name in ["7", "007", "1e5", "2024-05-01", "0x1f", "1_000"] {
            assert!(file_name(name).is_err_and(|rule| rule.contains("starts with a digit")), "{name}");
        }
        for name in ["inf", "Infinity", "NaN", "TRUE", "false", "null", "None", "NaT", "NA", "Epoch"] {
            assert!(file_name(name).is_err_and(|rule| rule.contains("missing value")), "{name}");
        }
        assert!(file_name("__HIVE_DEFAULT_PARTITION__").is_err());
    }

    #[test]
    fn seeds_are_64_bit_signed_integers() {
        assert_eq!(check_seed(9_223_372_036_854_775_807), Ok(LARGEST_SEED));
        assert!(check_seed(9_223_372_036_854_775_808).is_err_and(|rule| rule.contains("at most 9223372036854775807")));
    }
}
