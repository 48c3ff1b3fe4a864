//! Times and sizes as text.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_units_that_fit() {
        let times = [0.04, 9.96, 59.9, 185.0, 7620.0].map(|seconds| duration(Duration::from_secs_f64(seconds)));
        assert_eq!(times, ["0.0 s", "10.0 s", "59 s", "3 min 05 s", "2 h 07 min"]);
        assert_eq!([0.0, 1.0, 12e6, 999_999_999.0, 1.5e9].map(size), ["0 MB", "1 MB", "12 MB", "1000 MB", "1.5 GB"]);
    }
}
