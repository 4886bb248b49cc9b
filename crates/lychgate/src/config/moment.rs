//! Points in time as people write them: `24h` (so long ago), `2026-11-30` (its beginning in UTC), `2026-11-30T09:30:00+01:00`.

use super::duration;
use lychgate_types::{Ambient, Timestamp};

/// A point in time, and how it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    at: Timestamp,
    /// Written out in full, with its zone.
    exact: bool,
}

impl Moment {
    /// In UTC.
    pub(crate) fn at(self) -> Timestamp {
        self.at
    }

    /// Whether somebody may have meant another point in time: one written by a duration or without a zone.
    pub(crate) fn was_worked_out(self) -> bool {
        !self.exact
    }

    fn parse(text: &str, now: Timestamp) -> Result<Self, MomentError> {
        if let Ok(at) = text.parse() {
            return Ok(Self { at, exact: true });
        }
        let at = match duration::parse(text) {
            Ok(ago) => now.minus(ago),
            Err(_) if text.len() == 10 => format!("{text}T00:00:00Z").parse().map_err(|_| MomentError)?,
            Err(_) => return Err(MomentError),
        };
        Ok(Self { at, exact: false })
    }
}

impl std::str::FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        Self::parse(text, Ambient::system().now())
    }
}

/// Text that is not a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MomentError;

impl std::fmt::Display for MomentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "write how long ago (24h, 7d), a date (2026-11-30, its beginning in UTC), or a time with its zone \
             (2026-11-30T09:30:00Z, 2026-11-30T10:30:00+01:00)",
        )
    }
}

impl std::error::Error for MomentError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_dates_and_times() {
        let now: Timestamp = "2026-11-30T13:30:00Z".parse().unwrap();
        for (text, at, exact) in [
            ("24h", "2026-11-29T13:30:00.000000Z", false),
            ("7d", "2026-11-23T13:30:00.000000Z", false),
            ("2026-11-30", "2026-11-30T00:00:00.000000Z", false),
            ("2026-11-30T10:30:00+01:00", "2026-11-30T09:30:00.000000Z", true),
        ] {
            let moment = Moment::parse(text, now).unwrap();
            assert_eq!(
                (&*moment.at().to_string(), !moment.was_worked_out()),
                (at, exact),
                "{text}"
            );
        }
        for bad in [
            "",
            "yesterday",
            "2026-02-30",
            "2026-11-30T09:30:00",
            "2026-11-30 ",
            "1.5h",
            "-1d",
            "2026-11-3é",
        ] {
            assert_eq!(Moment::parse(bad, now), Err(MomentError), "{bad:?}");
        }
    }
}
