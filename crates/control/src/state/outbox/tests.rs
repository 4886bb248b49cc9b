use super::*;
use futures_util::FutureExt;
use lychgate_types::KeyRefusal;
use lychgate_types::secret::SpoolKey;

pub(in crate::state) fn spool_keys() -> SpoolKeys {
    SpoolKey::from_bytes([7; 32]).into()
}

pub(in crate::state) fn configuration(version: u64) -> Arc<Configuration> {
    Arc::new(Configuration {
        version,
        capture_content: false,
        providers: vec![],
        routes: vec![],
    })
}

type Events = BoxStream<'static, Result<Down, LinkError>>;

fn open(place: u64) -> (Arc<Mailbox>, Events) {
    let mailbox = Arc::new(Mailbox::new(spool_keys(), place));
    (mailbox.clone(), events(mailbox, None, ()))
}

fn hash(byte: u8) -> SecretHash {
    SecretHash::from_bytes([byte; 32])
}

/// The next message and its places in words; what is not there yet, and an end, in words too.
fn next(events: &mut Events) -> String {
    let Some(event) = events.next().now_or_never() else {
        return "nothing".to_owned();
    };
    let Some(Ok(Down {
        after,
        sequence,
        message,
    })) = event
    else {
        return "end".to_owned();
    };
    let said = match message {
        Message::Configuration {
            configuration, resumed, ..
        } => format!(
            "configuration {}{}",
            configuration.version,
            if resumed { " resumed" } else { "" }
        ),
        Message::TokensRevoked(mut hashes) => {
            hashes.sort_by_key(|hash| *hash.as_bytes());
            let bytes: Vec<_> = hashes.iter().map(|hash| hash.as_bytes()[0].to_string()).collect();
            format!("revoked {}", bytes.join(" "))
        }
        Message::Close(reason) => return format!("close {reason:?}"),
        other => format!("{other:?}").to_lowercase(),
    };
    format!("{after}-{sequence} {said}")
}

#[test]
fn the_configuration_goes_first_and_the_newest_wins() {
    let (mailbox, mut events) = open(5);
    mailbox.post_revoked([hash(7), hash(7)], 6);
    mailbox.post_drain();
    assert_eq!(next(&mut events), "nothing");
    mailbox.begin(&configuration(2), Beginning::Fresh);
    mailbox.post_configuration(&configuration(1));
    assert_eq!(next(&mut events), "5-5 configuration 2");
    assert_eq!(next(&mut events), "5-6 revoked 7");
    assert_eq!(next(&mut events), "6-6 drain");
    assert_eq!(next(&mut events), "nothing");
    mailbox.post_drain();
    assert_eq!(next(&mut events), "nothing", "once is enough");
    mailbox.post_configuration(&configuration(2));
    assert_eq!(next(&mut events), "nothing", "it is not newer");
    mailbox.post_configuration(&configuration(3));
    mailbox.post_configuration(&configuration(4));
    assert_eq!(next(&mut events), "6-6 configuration 4 resumed");
}

#[test]
fn what_goes_down_continues_without_a_gap_and_no_place_is_claimed_before_its_revocations() {
    let (mailbox, mut events) = open(5);
    mailbox.begin(&configuration(1), Beginning::Fresh);
    assert_eq!(next(&mut events), "5-5 configuration 1");
    mailbox.post_revoked([], 8);
    assert_eq!(
        next(&mut events),
        "nothing",
        "nothing is sent for changes that concern no replica"
    );
    mailbox.post_revoked([hash(1)], 9);
    mailbox.post_configuration(&configuration(2));
    mailbox.post_revoked([hash(2)], 10);
    assert_eq!(next(&mut events), "5-10 revoked 1 2");
    assert_eq!(next(&mut events), "10-10 configuration 2 resumed");
    mailbox.post_configuration(&configuration(3));
    mailbox.post_revoked([], 12);
    assert_eq!(next(&mut events), "10-12 configuration 3 resumed");
    mailbox.post_revoked([hash(3)], 11);
    assert_eq!(
        next(&mut events),
        "12-12 revoked 3",
        "late news never turn the place back"
    );
}

#[test]
fn a_resumed_attachment_goes_on_from_the_replicas_own_place() {
    let (mailbox, mut events) = open(20);
    mailbox.post_revoked([hash(3)], 21);
    let beginning = Beginning::Resumed {
        after: 12,
        revoked: vec![hash(2)],
        upto: 20,
    };
    mailbox.begin(&configuration(1), beginning);
    assert_eq!(next(&mut events), "12-12 configuration 1 resumed");
    assert_eq!(next(&mut events), "12-21 revoked 2 3");

    // It has seen more elsewhere than this control plane has.
    let (mailbox, mut events) = open(20);
    let beginning = Beginning::Resumed {
        after: 22,
        revoked: vec![],
        upto: 22,
    };
    mailbox.begin(&configuration(1), beginning);
    assert_eq!(next(&mut events), "22-22 configuration 1 resumed");
    mailbox.post_revoked([hash(1)], 21);
    assert_eq!(next(&mut events), "22-22 revoked 1");
    mailbox.post_revoked([hash(1)], 23);
    assert_eq!(next(&mut events), "22-23 revoked 1");
}

#[test]
fn many_revocations_go_in_parts_and_too_many_end_it() {
    let many = |count: u32| -> Vec<_> {
        let bytes = |n: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            SecretHash::from_bytes(bytes)
        };
        (0..count).map(bytes).collect()
    };
    let (mailbox, mut events) = open(1);
    mailbox.begin(&configuration(1), Beginning::Fresh);
    assert_eq!(next(&mut events), "1-1 configuration 1");
    mailbox.post_revoked(many(25_000), 25_001);
    let mut seen = HashSet::new();
    for (after, sequence) in [(1, 1), (1, 1), (1, 25_001)] {
        let Some(Some(Ok(down))) = events.next().now_or_never() else {
            panic!()
        };
        assert_eq!((down.after, down.sequence), (after, sequence));
        let Message::TokensRevoked(hashes) = down.message else {
            panic!()
        };
        assert!(hashes.len() <= REVOKED_PER_MESSAGE);
        seen.extend(hashes);
    }
    assert_eq!(seen.len(), 25_000);
    mailbox.post_revoked(many(MOST_REVOKED), 90_000);
    assert_eq!(mailbox.ending(), Ending::Open);
    mailbox.post_revoked([SecretHash::from_bytes([255; 32])], 90_001);
    assert_eq!(
        (next(&mut events).as_str(), mailbox.ending()),
        ("end", Ending::Replaced)
    );
}

#[test]
fn a_close_is_sent_once_and_does_not_wait() {
    let (mailbox, mut events) = open(0);
    assert_eq!(next(&mut events), "nothing");
    mailbox.post_close(CloseReason::Refused(KeyRefusal::Revoked));
    mailbox.post_close(CloseReason::ShuttingDown);
    mailbox.begin(&configuration(1), Beginning::Fresh);
    assert_eq!(next(&mut events), "close Refused(Revoked)");
    assert_eq!(next(&mut events), "end");
    assert_eq!(
        mailbox.ending(),
        Ending::Closed(CloseReason::Refused(KeyRefusal::Revoked))
    );
}

#[test]
fn an_end_says_nothing() {
    let (mailbox, mut events) = open(0);
    mailbox.begin(&configuration(1), Beginning::Fresh);
    mailbox.end();
    assert_eq!(
        (next(&mut events).as_str(), mailbox.ending()),
        ("end", Ending::Replaced)
    );
}

#[tokio::test]
async fn a_post_wakes_the_reader() {
    let (mailbox, mut events) = open(0);
    let reading = tokio::spawn(async move { events.next().await.is_some() });
    tokio::task::yield_now().await;
    mailbox.begin(&configuration(1), Beginning::Fresh);
    assert!(reading.await.unwrap());
}

#[test]
fn a_drain_that_is_posted_twice_before_it_goes_down_goes_down_once() {
    let (mailbox, mut events) = open(0);
    // Posted as the attachment begins, and by the feed at the same moment.
    mailbox.post_drain();
    mailbox.post_drain();
    mailbox.begin(&configuration(1), Beginning::Fresh);
    assert_eq!(next(&mut events), "0-0 configuration 1");
    assert_eq!(next(&mut events), "0-0 drain");
    assert_eq!(next(&mut events), "nothing");
}
