//! Numbers of bytes as people write them: `512MiB`, `1GiB`, or a plain number.

use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteSize(pub(crate) u64);

/// Text that is not a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteSizeError;

impl std::fmt::Display for ByteSizeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("write a whole number of bytes, or one with a unit (KiB, MiB, GiB, TiB): for example 512MiB")
    }
}

impl std::error::Error for ByteSizeError {}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let shift = match text.get(digits.len()..) {
            Some("") => 0,
            Some("KiB") => 10,
            Some("MiB") => 20,
            Some("GiB") => 30,
            Some("TiB") => 40,
            _ => return Err(ByteSizeError),
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ByteSizeError);
        }
        let count: u64 = digits.parse().map_err(|_| ByteSizeError)?;
        count.checked_mul(1 << shift).map(Self).ok_or(ByteSizeError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_edges() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("4KiB", 4096),
            ("512MiB", 512 << 20),
            ("1GiB", 1 << 30),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for bad in [
            "",
            "GiB",
            "1GB",
            "1 GiB",
            "-1",
            "+1",
            "1.5GiB",
            "16777216TiB",
            "99999999999999999999",
        ] {
            assert_eq!(bad.parse::<ByteSize>(), Err(ByteSizeError), "{bad}");
        }
    }
}
