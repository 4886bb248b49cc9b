//! Limits on what clients, replicas and providers can use: the rows of `docs/limits.md`. Each crate lists its own bounds, with the values of the
//! constants and options themselves.

use std::fmt;
use std::time::Duration;

/// One bound.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// What there is only so much of.
    pub what: &'static str,
    /// Who can cause it.
    pub by: By,
    /// How much.
    pub most: Most,
    /// The option that sets it; `None`: it is fixed.
    pub setting: Option<&'static str>,
    /// What happens beyond it.
    pub beyond: &'static str,
    /// The test that goes past it.
    pub test: &'static str,
}

/// Who can cause something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// Whoever reaches a listener.
    Stranger,
    /// The holder of a user token.
    User,
    /// The holder of a gateway key.
    Replica,
    /// A provider, by its answers.
    Provider,
}

/// How much of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Most {
    /// So many.
    Count(u64),
    /// So many bytes.
    Bytes(u64),
    /// So long.
    Time(Duration),
}

impl Most {
    /// So many.
    pub const fn count(count: usize) -> Self {
        Self::Count(count as u64)
    }

    /// So many bytes.
    pub const fn bytes(bytes: usize) -> Self {
        Self::Bytes(bytes as u64)
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stranger => "anyone",
            Self::User => "user token",
            Self::Replica => "gateway key",
            Self::Provider => "provider",
        })
    }
}

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Count(count) => grouped(f, count),
            Self::Bytes(bytes) => {
                let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
                let (size, unit) = units
                    .into_iter()
                    .find(|(size, _)| bytes >= *size && bytes % size == 0)
                    .unwrap_or((1, "bytes"));
                grouped(f, bytes / size)?;
                write!(f, " {unit}")
            }
            Self::Time(time) if time.subsec_millis() > 0 => write!(f, "{} ms", time.as_millis()),
            Self::Time(time) => {
                let units = [(3600, "h"), (60, "min")];
                let seconds = time.as_secs();
                let (size, unit) = units
                    .into_iter()
                    .find(|(size, _)| seconds > *size && seconds % size == 0)
                    .unwrap_or((1, "s"));
                write!(f, "{} {unit}", seconds / size)
            }
        }
    }
}

/// `20000` as `20,000`.
fn grouped(f: &mut fmt::Formatter<'_>, number: u64) -> fmt::Result {
    if number >= 1000 {
        grouped(f, number / 1000)?;
        write!(f, ",{:03}", number % 1000)
    } else {
        write!(f, "{number}")
    }
}

/// A list of bounds: who, how much, of what, what happens beyond, the test, and the option if there is one.
#[macro_export]
macro_rules! limits {
    ($($by:ident, $most:expr, $what:literal, $beyond:literal, $test:literal $(, $setting:literal)?;)*) => {
        vec![$($crate::limits::Limit {
            what: $what,
            by: $crate::limits::By::$by,
            most: $most,
            setting: $crate::limits!(@setting $($setting)?),
            beyond: $beyond,
            test: $test,
        },)*]
    };
    (@setting) => { None };
    (@setting $setting:literal) => { Some($setting) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_people_do() {
        for (most, wanted) in [
            (Most::Count(7), "7"),
            (Most::Count(20_000), "20,000"),
            (Most::Count(1_002_003), "1,002,003"),
            (Most::Bytes(512 << 20), "512 MiB"),
            (Most::Bytes(2000), "2,000 bytes"),
            (Most::Time(Duration::from_millis(200)), "200 ms"),
            (Most::Time(Duration::from_secs(90)), "90 s"),
            (Most::Time(Duration::from_secs(900)), "15 min"),
            (Most::Time(Duration::from_secs(60)), "60 s"),
        ] {
            assert_eq!(most.to_string(), wanted);
        }
    }
}
