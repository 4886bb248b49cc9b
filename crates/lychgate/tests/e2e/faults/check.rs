//! Holds what clients saw against what is on record.

use super::bill::Bill;
use super::estimates::Estimates;
use super::load::PROGRAM_NAME;
use super::log::{End, Kind, Revocation, Sent, Trouble};
use super::world::GOOD;
use hostile::is_hostile;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;

/// How exact the bounds are held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// From the answer to a revocation to the last request served, with the link up.
    pub(super) revocation: Duration,
    /// What a busy machine may add to other times.
    pub(super) slack: Duration,
}

/// What had been going on for so long when its process was killed has left a line on its disk. (The product takes 200 ms and looks
/// after the lines as often; the rest is for a busy machine.)
const LASTED: Duration = Duration::from_secs(1);
/// A replica finds out within this that nobody answers: its pings, and the wait for their answers.
const NOTICES: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Interceptions on record.
    pub(super) records: usize,
    /// Those of them that the next process wrote for one that was killed.
    pub(super) interrupted: usize,
    pub(super) lost: usize,
    pub(super) doubled: usize,
    /// What a hostile holder of a gateway key has on the books, and may have there: his own.
    pub(super) lies: usize,
    /// What he has there and may not.
    pub(super) forged: usize,
    /// Records that are stored under another id, since he was faster with theirs.
    pub(super) displaced: usize,
    pub(super) hung: usize,
    /// Tokens that the provider bills.
    pub(super) billed: u64,
    /// Those of them that are of requests which are not on record, since their process was killed at once.
    pub(super) unbooked: u64,
    pub(super) estimates: Estimates,
    /// From the answer to a revocation to the last request that a replica served, with its link up all that time.
    pub(super) revoked_up: Vec<Duration>,
    /// The same where it was not.
    pub(super) revoked_ill: Vec<Duration>,
    /// Requests of good tokens that were refused, by what was said.
    pub(super) refused: BTreeMap<String, usize>,
    /// Everything that is not as it must be.
    pub(super) wrong: Vec<String>,
}

/// All that is known of a run.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    pub(super) sent: Vec<Sent>,
    /// By replica.
    pub(super) troubles: Vec<Vec<Trouble>>,
    pub(super) revocations: Vec<Revocation>,
    /// By token.
    pub(super) users: Vec<String>,
    /// All interceptions, as the control plane lists them.
    pub(super) listing: Vec<Value>,
    /// What the provider bills, by marker.
    pub(super) bills: HashMap<String, Bill>,
    /// By replica.
    pub(super) max_offline: Vec<Duration>,
    /// By replica.
    pub(super) tiny_spool: Vec<bool>,
}

impl Found {
    /// Checks a run.
    pub(super) fn check(evidence: &Evidence, bounds: Bounds) -> Self {
        let mut found = Self {
            records: evidence.listing.len(),
            ..Self::default()
        };
        found.records(evidence);
        for one in &evidence.sent {
            found.end(one, evidence);
        }
        for revocation in &evidence.revocations {
            for replica in 0..evidence.troubles.len() {
                found.revocation(*revocation, replica, evidence, bounds);
            }
        }
        found.alone(evidence, bounds);
        found
    }

    fn wrong(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// Every complete answer is on record once and rightly; nothing is there that was not sent, and nothing twice.
    fn records(&mut self, evidence: &Evidence) {
        let mut by_marker: HashMap<&str, Vec<&Value>> = HashMap::new();
        self.hostile(evidence);
        for record in evidence.listing.iter().filter(|record| !is_hostile(record)) {
            let client = record["user_agent"].as_str();
            let marker = client.and_then(|client| client.strip_prefix(PROGRAM_NAME));
            by_marker.entry(marker.unwrap_or_default()).or_default().push(record);
        }
        let known: HashSet<_> = evidence.sent.iter().map(|one| one.marker.as_str()).collect();
        for (marker, records) in &by_marker {
            if !known.contains(marker) {
                self.wrong(format!("a record of what nobody sent: {}", records[0]));
            }
            if records.len() > 1 {
                self.doubled += 1;
                self.wrong(format!("doubled: {marker}: {records:?}"));
            }
        }
        for one in &evidence.sent {
            // Where neither the process was killed nor its disk failed, whatever was accepted is recorded, even if its client left or
            // its replica was told to end; and so is what the provider bills that had been going on for a while when its process
            // was killed.
            let cut = evidence.suffers(one, Kind::Killed) || evidence.suffers(one, Kind::Disk);
            let billed = evidence.bills.contains_key(&one.marker) && evidence.had_lasted(one);
            let must_be_there = one.end == End::Complete || !one.id.is_empty() && !cut || billed;
            let records = by_marker.get(one.marker.as_str());
            self.cost(one, records.map(|records| records[0]), evidence);
            let Some(records) = records else {
                if must_be_there {
                    self.lost += 1;
                    self.wrong(format!("lost: {one:?}"));
                }
                continue;
            };
            // Whatever a hostile key delivers under it, and when: the id that the client was told is that of its record.
            if !one.id.is_empty() && records[0]["id"] != one.id {
                self.displaced += 1;
                self.wrong(format!("displaced: {one:?}: {}", records[0]));
            }
            if let Err(why) = fits(one, records[0], &evidence.users[one.token]) {
                self.wrong(format!("{why}: {one:?}: {}", records[0]));
            }
            self.interrupted += usize::from(records[0]["outcome"] == "interrupted");
            if records[0]["outcome"] == "completed" && !evidence.bills.contains_key(&one.marker) {
                self.wrong(format!("the provider never saw {}", records[0]));
            }
        }
    }

    /// No request hung, and every refused client got a reason.
    fn end(&mut self, one: &Sent, evidence: &Evidence) {
        match &one.end {
            End::Complete => {}
            End::Late => {
                self.hung += 1;
                self.wrong(format!("hung: {one:?}"));
            }
            End::Broken | End::Nothing(_) if evidence.suffers(one, Kind::Down) || evidence.suffers(one, Kind::Disk) => {
            }
            End::Broken | End::Nothing(_) => self.wrong(format!("broken, though its replica ran: {one:?}")),
            End::Refused(401, _) => {
                let asked = |revocation: &Revocation| revocation.token == one.token && revocation.asked <= one.ended;
                if !evidence.revocations.iter().any(asked) {
                    self.wrong(format!("a good token was called a bad one: {one:?}"));
                }
            }
            End::Refused(_, said) => {
                let (reason, excused) = evidence.excuse(one, said);
                if one.token < GOOD || !excused {
                    *self.refused.entry(reason).or_default() += 1;
                }
                if !excused {
                    self.wrong(format!("refused without an excuse: {one:?}"));
                }
            }
        }
    }

    /// How long a replica served a token after it was said to be revoked, and whether it might.
    fn revocation(&mut self, revocation: Revocation, replica: usize, evidence: &Evidence, bounds: Bounds) {
        let Some(done) = revocation.done else { return };
        let after = |one: &&Sent| {
            one.token == revocation.token && one.replica == replica && one.was_served() && one.began > done
        };
        let last = evidence.sent.iter().filter(after).max_by_key(|one| one.began);
        let until = last.map_or(done, |one| one.began);
        let stale = until - done;
        let deaf: Vec<_> = evidence.troubles[replica]
            .iter()
            .filter(|trouble| matches!(trouble.kind, Kind::Deaf | Kind::Down) && trouble.touches(done, until))
            .collect();
        let samples = if deaf.is_empty() {
            &mut self.revoked_up
        } else {
            &mut self.revoked_ill
        };
        samples.push(stale);
        // Within a time of trouble the replica may go on for as long as without a control plane, after it for as long as ever.
        let may = match spell(&deaf, done, until) {
            (began, None) => began + NOTICES + evidence.max_offline[replica] + bounds.slack,
            (_, Some(ended)) => ended + bounds.revocation,
        };
        if let Some(last) = last.filter(|last| last.began > may) {
            self.wrong(format!(
                "served {stale:?} after its token was revoked ({revocation:?}): {last:?}; troubles: {deaf:?}"
            ));
        }
    }

    /// A replica that is cut off from all control planes serves nobody when its time is over.
    fn alone(&mut self, evidence: &Evidence, bounds: Bounds) {
        for trouble in evidence
            .troubles
            .iter()
            .flatten()
            .filter(|trouble| trouble.kind == Kind::Alone)
        {
            let over = trouble.from + evidence.max_offline[trouble.replica] + bounds.slack;
            let served = |one: &&Sent| {
                let within = one.began > over && trouble.to.is_some_and(|to| one.ended < to);
                one.replica == trouble.replica && one.was_served() && within
            };
            if let Some(one) = evidence.sent.iter().find(served) {
                self.wrong(format!(
                    "served though alone since {:?}: {one:?}",
                    one.began - trouble.from
                ));
            }
        }
    }
}

impl Evidence {
    /// Whether its replica suffered from this while a request went on.
    fn suffers(&self, one: &Sent, kind: Kind) -> bool {
        let suffers = |trouble: &Trouble| trouble.kind == kind && trouble.touches(one.began, one.ended);
        self.troubles[one.replica].iter().any(suffers)
    }

    /// Whether a request had been answered for longer than [`LASTED`] when its replica went down, with a disk that took its line.
    fn had_lasted(&self, one: &Sent) -> bool {
        let went_down = self.troubles[one.replica]
            .iter()
            .filter(|trouble| trouble.kind == Kind::Down && trouble.touches(one.began, one.ended));
        let first = went_down.map(|trouble| trouble.from).min();
        let lasted = first.is_some_and(|down| down > one.began + LASTED);
        lasted && one.end == End::Broken && !one.id.is_empty() && !self.suffers(one, Kind::Disk)
    }

    /// What a refusal comes to in few words, and whether there was a reason for it.
    fn excuse(&self, one: &Sent, said: &str) -> (String, bool) {
        let suffers = |kind| self.suffers(one, kind);
        let forgot = |trouble: &Trouble| matches!(trouble.kind, Kind::Down | Kind::Key) && trouble.from <= one.ended;
        // A replica that has just started, or was refused, knows no token until it can ask.
        let unknown = one.token >= GOOD || self.troubles[one.replica].iter().any(forgot);
        let excuses = [
            ("shutting down", suffers(Kind::Down)),
            ("not reached its control plane yet", suffers(Kind::Down)),
            (
                "without its control plane for too long",
                self.max_offline[one.replica] < NOTICES || suffers(Kind::Down),
            ),
            ("refused by its control plane", suffers(Kind::Key)),
            (
                "can't keep records",
                suffers(Kind::Disk) || self.tiny_spool[one.replica],
            ),
            (
                "can't be asked about this token",
                unknown && (suffers(Kind::Deaf) || suffers(Kind::Down) || suffers(Kind::Key)),
            ),
        ];
        let excuse = excuses.into_iter().find(|(part, _)| said.contains(part));
        excuse.map_or((said.to_owned(), false), |(part, excused)| (part.to_owned(), excused))
    }
}

/// The last of these troubles, grown together with all that overlap it: its beginning, and its end where that lies before `until`.
/// Without any: from `from` to `from`.
fn spell(troubles: &[&Trouble], from: Instant, until: Instant) -> (Instant, Option<Instant>) {
    let ends = |trouble: &Trouble| trouble.to.unwrap_or(until + Duration::from_secs(1));
    let mut spells: Vec<_> = troubles.iter().map(|trouble| (trouble.from, ends(trouble))).collect();
    spells.sort();
    let grown = spells.into_iter().reduce(|last, (begins, ends)| {
        if begins <= last.1 {
            (last.0, last.1.max(ends))
        } else {
            (begins, ends)
        }
    });
    let (began, ended) = grown.unwrap_or((from, from));
    (began, (ended < until || grown.is_none()).then_some(ended))
}

/// Whether a record says of a request what its client knows.
fn fits(one: &Sent, record: &Value, user: &str) -> Result<(), String> {
    if record["user"]["username"] != user {
        return Err("of another user".to_owned());
    }
    if one.end != End::Complete {
        return Ok(());
    }
    let usage = one.ask.usage();
    let counted = usage
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(field, _)| *field != "provider_response_id");
    let message = [
        ("outcome", json!("completed")),
        ("upstream_status", json!(200)),
        ("provider", json!(one.ask.provider())),
        ("api", json!(one.ask.endpoint.name())),
        ("model", one.ask.body["model"].clone()),
        ("streaming", json!(one.ask.body["stream"] == true)),
    ];
    for (field, wanted) in counted
        .map(|(field, wanted)| (field.as_str(), wanted.clone()))
        .chain(message)
    {
        if record[field] != wanted {
            return Err(format!("{field} should be {wanted}"));
        }
    }
    Ok(())
}

mod cost;
mod hostile;
#[cfg(test)]
mod tests;
