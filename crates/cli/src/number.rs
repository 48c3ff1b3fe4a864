//! Numbers as text, for tables, figures, page and terminal: a true minus sign, and commas between thousands from 10,000 on.

/// A number with this many decimals.
pub fn decimals(value: f64, decimals: usize) -> String {
    let digits = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = digits.split_once('.').map_or((digits.as_str(), ""), |parts| parts);
    let whole = if whole.len() < 5 { whole.to_owned() } else { grouped(whole) };
    let sign = if value < 0.0 && digits.bytes().any(|digit| matches!(digit, b'1'..=b'9')) { "−" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A non-negative integer of any type, such as a step or a count.
pub fn integer(value: impl ToString) -> String {
    let digits = value.to_string();
    if digits.len() < 5 { digits } else { grouped(&digits) }
}

/// A number with at least this many significant digits and no more decimals than needed.
pub fn significant(value: f64, digits: i32) -> String {
    decimals(value, places(value, digits))
}

/// A number with two significant digits and a power of ten.
pub fn scientific(value: f64) -> String {
    format!("{value:.1e}").replace('-', "−")
}

/// The shortest exact form of a round number, such as a threshold.
pub fn shortest(value: f64) -> String {
    value.to_string().replace('-', "−")
}

/// In place of a number that is null.
pub const MISSING: &str = "–";

/// A p-value with two significant digits.
pub fn p_value(value: Option<f64>) -> String {
    match value {
        None => MISSING.to_owned(),
        Some(value) if value < 1e-4 => "< 0.0001".to_owned(),
        Some(value) => significant(value, 2),
    }
}

/// A mean and, where known, its standard error, with this many decimals.
pub fn mean_stderr(mean: f64, stderr: Option<f64>, places: usize) -> String {
    match stderr {
        None => decimals(mean, places),
        Some(stderr) => format!("{} ± {}", decimals(mean, places), decimals(stderr, places)),
    }
}

/// Magnitudes that [`estimate`] shows in decimal notation.
const DECIMAL: std::ops::Range<f64> = 1e-3..1e6;

/// A value and, where known, its interval, with the decimals that the interval justifies; a dash for none.
pub fn estimate(value: Option<f64>, interval: Option<(f64, f64)>) -> String {
    match (value, interval) {
        (Some(value), Some((low, high))) => {
            let places = meaningful(value, Some((high - low) / 2.0));
            let largest = [value, low, high].map(f64::abs).into_iter().fold(0.0, f64::max);
            let decimal = largest == 0.0 || DECIMAL.contains(&largest);
            let text = |value| if decimal { decimals(value, places) } else { scientific(value) };
            format!("{} [{}, {}]", text(value), text(low), text(high))
        }
        (Some(value), None) => significant(value, 3),
        (None, _) => MISSING.to_owned(),
    }
}

/// A number in a sentence that a table stores: three significant digits, all digits of a whole number, and no commas, which
/// a reader of the table would take for punctuation.
pub fn prose(value: f64) -> String {
    let size = value.abs();
    let text = match () {
        () if value == 0.0 => "0".to_owned(),
        () if value.fract() == 0.0 && size < 1e6 => format!("{value:.0}"),
        () if !(1e-4..1e6).contains(&size) => format!("{value:.2e}"),
        () => format!("{value:.*}", (2 - size.log10().floor() as i32).max(0) as usize),
    };
    text.replace('-', "−")
}

/// The decimals that an uncertainty justifies: two significant digits of the uncertainty, at most six of the value; four
/// of the value where the uncertainty is zero or unknown.
pub fn meaningful(value: f64, uncertainty: Option<f64>) -> usize {
    match uncertainty.filter(|uncertainty| *uncertainty > 0.0) {
        None => places(value, 4),
        Some(uncertainty) => places(uncertainty, 2).min(places(value, 6).max(2)),
    }
}

/// The decimals that show this many significant digits.
fn places(value: f64, digits: i32) -> usize {
    if value == 0.0 || !value.is_finite() {
        return 0;
    }
    (digits - 1 - value.abs().log10().floor() as i32).clamp(0, 12) as usize
}

fn grouped(digits: &str) -> String {
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    Some(head.to_owned()).filter(|head| !head.is_empty()).into_iter().chain(groups).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_formatted_for_reading() {
        assert_eq!(decimals(-0.04, 1), "0.0");
        assert_eq!(decimals(-1.25, 2), "−1.25");
        assert_eq!(decimals(2000.0, 0), "2000");
        assert_eq!(decimals(1_234_567.8, 1), "1,234,567.8");
        assert_eq!(significant(0.012345, 3), "0.0123");
        assert_eq!(significant(12345.6, 3), "12,346");
        assert_eq!(significant(0.0, 3), "0");
        assert_eq!([Some(0.0123), Some(1e-5), None].map(p_value), ["0.012", "< 0.0001", "–"]);
        assert_eq!((integer(2000_u32), integer(12_345_u32)), ("2000".into(), "12,345".into()));
    }

    #[test]
    fn an_uncertainty_decides_the_decimals() {
        assert_eq!(meaningful(1.91478, Some(0.00812)), 4);
        assert_eq!(meaningful(1234.5, Some(31.0)), 0);
        assert_eq!(meaningful(1.91478, None), 3);
        assert_eq!(meaningful(-0.97, Some(0.025)), 3);
        assert_eq!(mean_stderr(1.91478, Some(0.00812), 4), "1.9148 ± 0.0081");
        assert_eq!(mean_stderr(1.91478, None, 3), "1.915");
        assert_eq!(shortest(-0.05), "−0.05");
        assert_eq!(shortest(1500.0), "1500");
        assert_eq!(scientific(-0.000_004_64), "−4.6e−6");
    }

    #[test]
    fn an_interval_decides_the_decimals_of_an_estimate() {
        assert_eq!(estimate(Some(-0.5), Some((-0.5125, -0.4875))), "−0.500 [−0.512, −0.487]");
        assert_eq!(estimate(Some(0.295), Some((-0.863, 0.967))), "0.29 [−0.86, 0.97]");
        assert_eq!(estimate(Some(-1e-5), Some((-2e-5, 0.0))), "−1.0e−5 [−2.0e−5, 0.0e0]");
        assert_eq!(estimate(Some(0.0), Some((0.0, 0.0))), "0 [0, 0]");
        assert_eq!([estimate(Some(0.5), None), estimate(None, Some((0.0, 1.0)))], ["0.500", "–"]);
    }

    #[test]
    fn numbers_in_prose_are_short_and_have_no_commas() {
        let written = [0.0, -0.4213, 1500.0, 1633.25, 12_345.6, 0.00001234, 12.345].map(prose);
        assert_eq!(written, ["0", "−0.421", "1500", "1633", "12346", "1.23e−5", "12.3"]);
    }
}
