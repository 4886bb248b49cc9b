//! Durations as people write them: `90s`, `15m`, `12h`, `30d`, `2w`.

use std::time::Duration;

/// Reads a whole number with one unit.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let seconds_per_unit: u64 = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return Err(DurationError),
    };
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DurationError);
    }
    let count: u64 = digits.parse().map_err(|_| DurationError)?;
    // A century is more than any use here needs, and far below what a point in time can hold.
    let seconds = count
        .checked_mul(seconds_per_unit)
        .filter(|s| (1..=100 * 366 * 24 * 60 * 60).contains(s));
    seconds.map(Duration::from_secs).ok_or(DurationError)
}

/// A setting that is a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl std::str::FromStr for Span {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        parse(text).map(Self)
    }
}

/// Text that is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DurationError;

impl std::fmt::Display for DurationError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("write a whole number and a unit (s, m, h, d, w), at most 100 years: for example 30d")
    }
}

impl std::error::Error for DurationError {}

#[cfg(test)]
mod tests {
    use super::{DurationError, parse};

    #[test]
    fn units_and_edges() {
        for (text, seconds) in [
            ("1s", 1),
            ("15m", 900),
            ("12h", 43_200),
            ("30d", 2_592_000),
            ("2w", 1_209_600),
        ] {
            assert_eq!(parse(text).unwrap().as_secs(), seconds, "{text}");
        }
        for bad in [
            "",
            "30",
            "d",
            "-1d",
            "+1d",
            "1.5h",
            "30 d",
            "30D",
            "0d",
            "1d12h",
            "1é",
            "99999999999999999999d",
            "5000w0",
            "6000w",
        ] {
            assert_eq!(parse(bad), Err(DurationError), "{bad:?}");
        }
    }
}
