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
        let registration = attachments.register(
            ambient.new_id(),
            identity,
            outbox::tests::spool_key(),
            heartbeats.clone(),
        );
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
