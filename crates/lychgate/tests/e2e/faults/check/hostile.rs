//! Holds the records that somebody made up against what he may have on the books.

use super::{Evidence, Found};
use crate::faults::hostile::{Lie, PROGRAM_NAME, USER};
use lychgate_types::{Ambient, Timestamp};
use serde_json::Value;
use std::time::Duration;

/// Clocks are off by up to five hours and twenty minutes.
const NEAR: Duration = Duration::from_secs(6 * 3600);

/// Whether he says himself that he delivered it.
pub(super) fn is_hostile(record: &Value) -> bool {
    record["user_agent"]
        .as_str()
        .is_some_and(|client| client.starts_with(PROGRAM_NAME))
}

impl Found {
    /// What he made up is on the books as his own or not at all, and nothing there is of another time than this, give or take what
    /// clocks were off. Gives the ids that his records have.
    pub(super) fn hostile(&mut self, evidence: &Evidence) {
        let lies = evidence.listing.iter().filter(|record| is_hostile(record));
        let now = Ambient::system().now();
        for record in lies {
            self.lies += 1;
            let lie = record["user_agent"].as_str().and_then(Lie::named);
            if record["user"]["username"] != USER || !lie.is_some_and(Lie::may_be_booked) {
                self.forged += 1;
                self.wrong(format!("forged: {record}"));
            }
        }
        for record in &evidence.listing {
            let is_near = |field: &&str| {
                let time = record[field].as_str().and_then(|time| time.parse::<Timestamp>().ok());
                time.is_some_and(|time| now.minus(NEAR) < time && time < now.plus(NEAR))
            };
            if let Some(field) = ["started_at", "ended_at"].iter().find(|field| !is_near(field)) {
                self.forged += 1;
                self.wrong(format!("misdated: {field} of {record}"));
            }
        }
    }
}
