//! Numbers as text: times, sizes, values with three digits, means with their errors.

use std::time::Duration;

/// A time: `4.2 s`, `3 min 05 s`, `2 h 07 min`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A size in bytes, estimated or measured: `12 MB`, `1.5 GB`.
pub fn size(bytes: f64) -> String {
    match bytes {
        ..1e9 => format!("{:.0} MB", (bytes / 1e6).ceil()),
        _ => format!("{:.1} GB", bytes / 1e9),
    }
}

/// A mean and its standard error, where there is one, with so many decimals.
pub fn mean(mean: f64, stderr: Option<f64>, decimals: usize) -> String {
    match stderr {
        Some(stderr) => format!("{mean:.decimals$} ± {stderr:.decimals$}"),
        None => format!("{mean:.decimals$}"),
    }
}

/// A value with its interval, where there is one; a dash for none.
pub fn estimate(value: Option<f64>, interval: Option<(f64, f64)>) -> String {
    match (value, interval) {
        (Some(value), Some((low, high))) => format!("{} [{}, {}]", number(value), number(low), number(high)),
        (Some(value), None) => number(value),
        (None, _) => "–".to_owned(),
    }
}

/// A value to three decimals, in scientific notation where that shows no digits or too many.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if (1e-3..1e4).contains(&size) => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_units_that_fit() {
        let times = [0.04, 9.96, 59.9, 185.0, 7620.0].map(|seconds| duration(Duration::from_secs_f64(seconds)));
        assert_eq!(times, ["0.0 s", "10.0 s", "59 s", "3 min 05 s", "2 h 07 min"]);
        assert_eq!([0.0, 1.0, 12e6, 999_999_999.0, 1.5e9].map(size), ["0 MB", "1 MB", "12 MB", "1000 MB", "1.5 GB"]);
    }

    #[test]
    fn values_have_three_decimals_or_an_exponent() {
        assert_eq!([0.12345, 0.0, -1e-5, 2000.0].map(number), ["0.123", "0", "-1.0e-5", "2000.000"]);
        assert_eq!(estimate(Some(-0.5), Some((-0.75, -0.25))), "-0.500 [-0.750, -0.250]");
        assert_eq!([estimate(Some(0.5), None), estimate(None, None)], ["0.500", "–"]);
        assert_eq!([mean(1.75, Some(0.25), 4), mean(1.9, None, 1)], ["1.7500 ± 0.2500", "1.9"]);
    }
}
