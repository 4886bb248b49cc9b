//! The checker finds what is wrong, and nothing where all is right.

use super::*;
use crate::faults::bill::Tokens;
use crate::faults::hostile::{Lie, USER};
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario};
use lychgate_types::{Ambient, Timestamp};

const BOUNDS: Bounds = Bounds {
    revocation: Duration::from_secs(1),
    slack: Duration::from_secs(1),
};

/// Of one replica, whose `--max-offline` is two seconds. Token `GOOD` is revoked in the second second.
struct Case {
    zero: Instant,
    evidence: Evidence,
}

impl Case {
    fn new() -> Self {
        let zero = Instant::now();
        let revocation = Revocation {
            token: GOOD,
            asked: zero + ms(1900),
            done: Some(zero + ms(2000)),
        };
        let mut case = Self {
            zero,
            evidence: Evidence {
                troubles: vec![Vec::new()],
                revocations: vec![revocation],
                users: (0..=GOOD).map(|number| format!("user-{number}")).collect(),
                max_offline: vec![ms(2000)],
                tiny_spool: vec![false],
                ..Evidence::default()
            },
        };
        case.complete(100, 0);
        case.complete(1000, GOOD);
        case.complete(1990, GOOD);
        case.sends(
            2100,
            GOOD,
            End::Refused(401, "this Lychgate token was revoked".to_owned()),
        );
        case
    }

    /// A request that ends 50 ms after it began.
    fn sends(&mut self, at: u64, token: usize, end: End) -> Sent {
        let number = self.evidence.sent.len();
        let marker = format!("marker-{number}");
        let sent = Sent {
            replica: 0,
            token,
            ask: Ask::new(Endpoint::Messages, Scenario::Text, false, &marker),
            began: self.zero + ms(at),
            ended: self.zero + ms(at + 50),
            id: if end == End::Complete {
                format!("id-{number}")
            } else {
                String::new()
            },
            marker,
            end,
        };
        self.evidence.sent.push(sent.clone());
        sent
    }

    /// One that is served and recorded as it should be.
    fn complete(&mut self, at: u64, token: usize) {
        let sent = self.sends(at, token, End::Complete);
        let mut record = sent.ask.usage();
        for (field, value) in [
            ("user_agent", json!(format!("{PROGRAM_NAME}{}", sent.marker))),
            ("user", json!({"username": format!("user-{token}")})),
            ("id", json!(sent.id)),
            ("outcome", json!("completed")),
            ("upstream_status", json!(200)),
            ("provider", json!("anthropic")),
            ("api", json!("anthropic_messages")),
            ("model", sent.ask.body["model"].clone()),
            ("streaming", json!(false)),
            ("started_at", json!(Ambient::system().now())),
            ("ended_at", json!(Ambient::system().now())),
        ] {
            record[field] = value;
        }
        self.evidence.listing.push(record);
        let whole = Tokens::of(&sent.ask.usage());
        self.bill(&sent, whole);
    }

    fn bill(&mut self, sent: &Sent, tokens: Tokens) {
        let (times, whole) = (1, Tokens::of(&sent.ask.usage()));
        let bill = Bill { times, tokens, whole };
        self.evidence.bills.insert(sent.marker.clone(), bill);
    }

    fn suffers(&mut self, kind: Kind, from: u64, to: u64) {
        self.evidence.troubles[0].push(Trouble {
            replica: 0,
            kind,
            from: self.zero + ms(from),
            to: Some(self.zero + ms(to)),
        });
    }

    fn found(&self) -> Found {
        Found::check(&self.evidence, BOUNDS)
    }

    /// Exactly one thing is wrong: this.
    #[track_caller]
    fn is_wrong(&self, part: &str) -> Found {
        let found = self.found();
        assert!(
            found.wrong.len() == 1 && found.wrong[0].contains(part),
            "{:#?}",
            found.wrong
        );
        found
    }

    #[track_caller]
    fn is_right(&self) -> Found {
        let found = self.found();
        assert_eq!(found.wrong, Vec::<String>::new());
        found
    }
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn where_all_is_right_nothing_is_found() {
    let found = Case::new().is_right();
    assert_eq!((found.records, found.lost, found.doubled, found.hung), (3, 0, 0, 0));
    assert_eq!((found.revoked_up, found.revoked_ill), (vec![Duration::ZERO], vec![]));
}

#[test]
fn records_that_are_lost_doubled_made_up_or_wrong_are_found() {
    let mut lost = Case::new();
    lost.evidence.listing.remove(1);
    assert_eq!(lost.is_wrong("lost").lost, 1);
    // A crash excuses a request that it cut, not one that its client saw to the end.
    lost.suffers(Kind::Down, 0, 3000);
    assert_eq!(lost.is_wrong("lost").lost, 1);

    // Nor does the end of a process that was told to, whatever its client saw of the answer.
    let mut told = Case::new();
    let sent = told.sends(3000, 0, End::Broken);
    told.evidence.sent.last_mut().unwrap().id = "id-of-what-was-cut".to_owned();
    told.bill(&sent, Tokens::default());
    told.suffers(Kind::Down, 2900, 3100);
    told.is_wrong("lost");
    told.suffers(Kind::Killed, 2900, 3100);
    told.is_right();

    // Nor one that had been going on for a while; where the provider never saw it, or the disk took no line, there is no bill or no
    // line.
    let mut killed = Case::new();
    let mut sent = killed.sends(5000, 0, End::Broken);
    sent.ended = killed.zero + ms(6600);
    sent.id = "id-of-what-was-killed".to_owned();
    *killed.evidence.sent.last_mut().unwrap() = sent.clone();
    killed.suffers(Kind::Down, 6500, 7000);
    killed.suffers(Kind::Killed, 6500, 7000);
    killed.is_right();
    let billed = Tokens { input: 17, output: 8 };
    killed.bill(&sent, billed);
    killed.is_wrong("lost");
    let mut listed = killed.evidence.listing[0].clone();
    listed["user_agent"] = json!(format!("{PROGRAM_NAME}{}", sent.marker));
    listed["outcome"] = json!("interrupted");
    listed["estimated"] = json!(true);
    listed["id"] = json!(sent.id);
    killed.evidence.listing.push(listed);
    let found = killed.is_right();
    assert_eq!((found.interrupted, found.estimates.count(), found.unbooked), (1, 1, 0));
    killed.evidence.listing.pop();
    killed.suffers(Kind::Disk, 6000, 6300);
    assert_eq!(killed.is_right().unbooked, billed.all());

    let mut doubled = Case::new();
    let mut again = doubled.evidence.listing[0].clone();
    again["id"] = json!("another");
    doubled.evidence.listing.push(again);
    assert_eq!(doubled.is_wrong("doubled").doubled, 1);

    let mut invented = Case::new();
    invented.evidence.sent.remove(0);
    invented.is_wrong("nobody sent");
    let mut unasked = Case::new();
    unasked.evidence.bills.remove("marker-0");
    unasked.is_wrong("never saw");
    let mut twice = Case::new();
    twice.evidence.bills.get_mut("marker-0").unwrap().times = 2;
    twice.is_wrong("asked 2 times");
    let mut wrongly_final = Case::new();
    let broken = wrongly_final.sends(3000, 0, End::Broken);
    wrongly_final.suffers(Kind::Down, 2900, 3100);
    wrongly_final.bill(&broken, billed);
    let mut listed = wrongly_final.evidence.listing[0].clone();
    listed["user_agent"] = json!(format!("{PROGRAM_NAME}{}", broken.marker));
    listed["output_tokens"] = json!(8);
    wrongly_final.evidence.listing.push(listed);
    wrongly_final.is_wrong("are no estimate");

    for (field, value) in [
        ("output_tokens", json!(1)),
        ("estimated", json!(true)),
        ("outcome", json!("failed")),
        ("id", json!("another")),
    ] {
        let mut wrong = Case::new();
        wrong.evidence.listing[0][field] = value;
        wrong.is_wrong(field);
    }
    let mut anothers = Case::new();
    anothers.evidence.listing[0]["user"]["username"] = json!("user-1");
    anothers.is_wrong("another user");
}

#[test]
fn requests_that_hang_break_or_are_refused_without_a_reason_are_found() {
    for (end, message) in [
        (End::Late, "hung"),
        (End::Broken, "broken"),
        (End::Nothing("reset".to_owned()), "broken"),
        (End::Refused(401, "revoked".to_owned()), "a good token"),
        (End::Refused(503, "can't keep records".to_owned()), "without an excuse"),
        (
            End::Refused(503, "can't be asked about this token".to_owned()),
            "without an excuse",
        ),
        (End::Refused(500, "failed inside".to_owned()), "without an excuse"),
    ] {
        let mut case = Case::new();
        case.sends(3000, 0, end);
        case.is_wrong(message);
    }
    let mut excused = Case::new();
    excused.suffers(Kind::Down, 2900, 3010);
    excused.sends(3000, 0, End::Nothing("reset".to_owned()));
    excused.is_right();
}

#[test]
fn a_revoked_token_that_is_served_too_long_is_found() {
    let mut soon = Case::new();
    soon.complete(2900, GOOD);
    assert_eq!(soon.is_right().revoked_up, [ms(900)]);
    let mut late = Case::new();
    late.complete(3100, GOOD);
    assert_eq!(late.is_wrong("served 1.1s after").revoked_up, [ms(1100)]);
    // In a partition it may be served, and after it no longer than ever.
    late.suffers(Kind::Deaf, 1500, 2500);
    assert_eq!(late.is_right().revoked_ill, [ms(1100)]);
    late.complete(3600, GOOD);
    late.is_wrong("served 1.6s after");
    // Nor longer than a replica may go on alone: ten seconds to notice, two more, and one for the machine.
    let mut partition = Case::new();
    partition.suffers(Kind::Deaf, 1500, 30_000);
    partition.complete(14_400, GOOD);
    partition.is_right();
    partition.complete(14_600, GOOD);
    partition.is_wrong("served 12.6s after");
}

#[test]
fn a_replica_that_is_alone_for_too_long_and_serves_on_is_found() {
    let mut case = Case::new();
    case.suffers(Kind::Alone, 5000, 9000);
    case.complete(7900, 0);
    case.is_right();
    case.complete(8100, 0);
    case.is_wrong("served though alone since 3.1s");
}

#[test]
fn what_somebody_made_up_is_his_own_or_found() {
    let lie = |lie: Lie, user: &str, id: &str, at: Timestamp| json!({"user_agent": format!("hostile/{lie:?}"), "user": {"username": user}, "id": id, "started_at": at, "ended_at": at});
    let now = Ambient::system().now();
    let mut own = Case::new();
    own.evidence.listing.push(lie(Lie::First, USER, "id-of-his", now));
    assert_eq!(own.is_right().lies, 1);
    // With another's id: his own is there under a made one, and not the other.
    own.evidence.listing.push(lie(Lie::Displacing, USER, "made", now));
    assert_eq!(own.is_right().lies, 2);
    own.evidence.listing[0]["id"] = json!("made");
    assert_eq!(own.is_wrong("displaced").displaced, 1);
    for (made_up, wrong) in [
        (lie(Lie::First, "user-0", "id-of-his", now), "forged"),
        (lie(Lie::Forged, USER, "id-of-his", now), "forged"),
        (lie(Lie::Repeated, USER, "id-of-his", now), "forged"),
        (lie(Lie::Completing, USER, "id-of-his", now), "forged"),
    ] {
        let mut case = Case::new();
        case.evidence.listing.push(made_up);
        assert_eq!(case.is_wrong(wrong).forged, 1);
    }
    let mut misdated = Case::new();
    let mut made_up = lie(Lie::Misdated, USER, "id-of-his", now);
    made_up["started_at"] = json!(Timestamp::from_micros(0));
    misdated.evidence.listing.push(made_up);
    misdated.is_wrong("misdated: started_at");
}
