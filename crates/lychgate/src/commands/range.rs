//! `--since` and `--until` of the listings that run back in time.

use super::Query;
use crate::config::moment::Moment;
use crate::terminal::output::note;

/// The options. Both are bounds on when a request started, or an entry was made.
#[derive(Debug, clap::Args)]
pub(crate) struct RangeArgs {
    /// Only from this time on: 24h or 7d (ago), a date (2026-11-30, from its beginning in UTC) or a time with its zone
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only before this time, written in the same ways
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
}

impl RangeArgs {
    /// Adds the bounds to the filters. What was worked out is told on standard error, with its zone.
    pub(super) fn add_to(&self, filters: &mut Query) {
        for (name, moment) in [("since", self.since), ("until", self.until)] {
            if let Some(moment) = moment.filter(|moment| moment.was_worked_out()) {
                note(&format!("{name} {}", moment.at()));
            }
            filters.push((name, moment.map(|moment| moment.at().to_string())));
        }
    }
}
