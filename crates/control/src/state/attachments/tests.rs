//! Closing reaches the right attachments.

use super::*;
use lychgate_link::{Down, Message};
use lychgate_store::{KeyRef, ReplicaAttachment, ReplicaInfo};
use lychgate_types::Ambient;

fn new_identity(ambient: &Ambient, session: Arc<KeySession>) -> ReplicaIdentity {
    let info = ReplicaInfo {
        name: String::new(),
        version: String::new(),
        address: String::new(),
        labels: BTreeMap::new(),
    };
    let attachment = ReplicaAttachment {
        id: ambient.new_id(),
        replica_id: ambient.new_id(),
        process: None,
        gateway_key: KeyRef {
            id: session.key_id,
            name: String::new(),
        },
        info,
        control_plane_id: ambient.new_id(),
        connected_at: ambient.now(),
    };
    ReplicaIdentity {
        session,
        source: None,
        attachment,
    }
}

#[tokio::test]
async fn closing_a_key_reaches_its_own_attachments_only() {
    let ambient = Ambient::system();
    let (attachments, mut detachments) = Attachments::new(0);
    let session = |byte: u8| {
        let hash = SecretHash::from_bytes([byte; 32]);
        attachments
            .key_sessions
            .get_or_insert(KeySession::new(ambient.new_id(), String::new(), String::new(), hash))
    };
    let (closed, other) = (session(1), session(2));
    // A replica is attached for as long as this sender exists.
    let (beating, heartbeats) = watch::channel(Heartbeat::default());
    let register = |session: Option<Arc<KeySession>>| {
        let identity = session.map(|session| new_identity(&ambient, session));
        let registration = attachments
            .register(
                ambient.new_id(),
                identity,
                outbox::tests::spool_keys(),
                heartbeats.clone(),
            )
            .unwrap();
        let first = outbox::tests::configuration(1);
        registration.into_attachment(&first, Beginning::Fresh, false).events
    };
    let (mut one, mut two, mut embedded) = (
        register(Some(closed.clone())),
        register(Some(other.clone())),
        register(None),
    );
    attachments.close_key(closed.key_id);
    assert!(matches!(
        one.next().await,
        Some(Ok(Down {
            message: Message::Close(CloseReason::Refused(KeyRefusal::Revoked)),
            ..
        }))
    ));
    assert!(one.next().await.is_none());
    assert_eq!(
        (closed.refusal(None), other.refusal(None)),
        (Some(KeyRefusal::Revoked), None)
    );
    for other in [&mut two, &mut embedded] {
        assert!(matches!(
            other.next().await,
            Some(Ok(Down {
                message: Message::Configuration { .. },
                ..
            }))
        ));
    }
    drop(one);
    assert_eq!(
        detachments.recv().await.map(|detachment| detachment.session.key_id),
        Some(closed.key_id)
    );

    attachments.close_all();
    assert!(matches!(
        two.next().await,
        Some(Ok(Down {
            message: Message::Close(CloseReason::ShuttingDown),
            ..
        }))
    ));
    let mut late = register(Some(other));
    assert!(matches!(
        late.next().await,
        Some(Ok(Down {
            message: Message::Close(CloseReason::ShuttingDown),
            ..
        }))
    ));
    drop(beating);
    assert!(embedded.next().await.is_none(), "the end of the heartbeats detaches");
}

#[tokio::test]
async fn attachments_of_one_key_or_from_one_address_are_bounded() {
    let ambient = Ambient::system();
    let (attachments, _detachments) = Attachments::new(0);
    let (_beating, heartbeats) = watch::channel(Heartbeat::default());
    let session = |byte: u8| {
        let hash = SecretHash::from_bytes([byte; 32]);
        Arc::new(KeySession::new(ambient.new_id(), String::new(), String::new(), hash))
    };
    let attach = |session: &Arc<KeySession>, source: Option<u8>| {
        let mut identity = new_identity(&ambient, session.clone());
        identity.source = source.map(|last| [192, 0, 2, last].into());
        let spool_keys = outbox::tests::spool_keys();
        attachments.register(ambient.new_id(), Some(identity), spool_keys, heartbeats.clone())
    };
    let (one, two, three) = (session(1), session(2), session(3));
    let mut held: Vec<_> = (0..ATTACHMENTS_PER_KEY)
        .map(|_| attach(&one, Some(1)).unwrap())
        .collect();
    let refused = attach(&one, Some(2)).err().and_then(|error| error.refusal());
    assert_eq!(refused, Some(KeyRefusal::TooManyAttempts));
    held.extend((held.len()..ATTACHMENTS_PER_SOURCE).map(|_| attach(&two, Some(1)).unwrap()));
    let refused = attach(&three, Some(1)).err().and_then(|error| error.refusal());
    assert_eq!(refused, Some(KeyRefusal::TooManyAttempts));
    drop(attach(&three, Some(2)).expect("another address and another key"));
    drop(attach(&three, None).expect("an unknown address"));
    held.pop();
    attach(&three, Some(1)).map(drop).expect("a place became free");
}
