//! `Authorize`, `Owns` and `Deliver`.

use crate::field::{BadMessage, id_bytes, read_id};
use crate::generated as wire;
use crate::link::{Authorization, DenyReason, Receipt, Rejected};
use lychgate_types::{Holder, InterceptionId, Ownership, StoredObject, UnfinishedInterception};
use std::time::Duration;

impl From<Authorization> for wire::AuthorizeResponse {
    fn from(authorization: Authorization) -> Self {
        use wire::authorize_response::Answer;
        let (answer, lease) = match authorization {
            Authorization::Known {
                may_send_requests,
                holder,
                lease,
            } => {
                let holder = holder.number();
                let known = wire::Known {
                    may_send_requests,
                    holder,
                };
                (Answer::Known(known), lease)
            }
            Authorization::Denied { reason, lease } => {
                let reason = match reason {
                    DenyReason::Unknown => wire::denied::Reason::Unknown,
                    DenyReason::Expired => wire::denied::Reason::Expired,
                    DenyReason::Revoked => wire::denied::Reason::Revoked,
                    DenyReason::Suspended => wire::denied::Reason::Suspended,
                };
                (Answer::Denied(wire::Denied { reason: reason.into() }), lease)
            }
        };
        Self {
            answer: Some(answer),
            lease_millis: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl TryFrom<wire::AuthorizeResponse> for Authorization {
    type Error = BadMessage;
    fn try_from(response: wire::AuthorizeResponse) -> Result<Self, BadMessage> {
        use wire::authorize_response::Answer;
        let lease = Duration::from_millis(response.lease_millis);
        match response.answer {
            Some(Answer::Known(known)) => Ok(Self::Known {
                may_send_requests: known.may_send_requests,
                holder: Holder::from_number(known.holder),
                lease,
            }),
            Some(Answer::Denied(denied)) => {
                let reason = match denied.reason() {
                    wire::denied::Reason::Expired => DenyReason::Expired,
                    wire::denied::Reason::Revoked => DenyReason::Revoked,
                    wire::denied::Reason::Suspended => DenyReason::Suspended,
                    wire::denied::Reason::Unknown | wire::denied::Reason::Unspecified => DenyReason::Unknown,
                };
                Ok(Self::Denied { reason, lease })
            }
            None => Err(BadMessage("authorize_response.answer")),
        }
    }
}

impl From<StoredObject> for wire::OwnsResponse {
    fn from(object: StoredObject) -> Self {
        let ownership = match object.ownership {
            Ownership::Own => wire::owns_response::Ownership::Own,
            Ownership::Anothers => wire::owns_response::Ownership::Anothers,
            Ownership::Unknown => wire::owns_response::Ownership::Unknown,
        };
        Self {
            ownership: ownership.into(),
            unfinished: object.unfinished.map(|unfinished| wire::UnfinishedInterception {
                id: id_bytes(unfinished.id.as_uuid()),
                provider: unfinished.provider,
            }),
            objects: Vec::new(),
        }
    }
}

/// What is known of several.
pub(crate) fn owned(objects: Vec<StoredObject>) -> wire::OwnsResponse {
    wire::OwnsResponse {
        objects: objects.into_iter().map(Into::into).collect(),
        ..wire::OwnsResponse::default()
    }
}

/// The same, where so many were asked about.
pub(crate) fn read_owned(response: wire::OwnsResponse, asked: usize) -> Result<Vec<StoredObject>, BadMessage> {
    if response.objects.len() != asked {
        return Err(BadMessage("owns_response.objects"));
    }
    response.objects.into_iter().map(StoredObject::try_from).collect()
}

impl TryFrom<wire::OwnsResponse> for StoredObject {
    type Error = BadMessage;
    fn try_from(response: wire::OwnsResponse) -> Result<Self, BadMessage> {
        let ownership = match response.ownership() {
            wire::owns_response::Ownership::Own => Ownership::Own,
            wire::owns_response::Ownership::Anothers => Ownership::Anothers,
            wire::owns_response::Ownership::Unknown => Ownership::Unknown,
            wire::owns_response::Ownership::Unspecified => return Err(BadMessage("owns_response.ownership")),
        };
        let unfinished = |unfinished: wire::UnfinishedInterception| {
            let id = read_id(&unfinished.id, "owns_response.unfinished.id")?;
            Ok(UnfinishedInterception {
                id: InterceptionId::from_uuid(id),
                provider: unfinished.provider,
            })
        };
        Ok(Self {
            ownership,
            unfinished: response.unfinished.map(unfinished).transpose()?,
        })
    }
}

impl From<Receipt> for wire::DeliverResponse {
    fn from(receipt: Receipt) -> Self {
        let rejected = |rejected: Rejected| wire::Rejected {
            id: id_bytes(rejected.id.as_uuid()),
            reason: rejected.reason,
        };
        Self {
            rejected: receipt.rejected.into_iter().map(rejected).collect(),
        }
    }
}

impl TryFrom<wire::DeliverResponse> for Receipt {
    type Error = BadMessage;
    fn try_from(response: wire::DeliverResponse) -> Result<Self, BadMessage> {
        let rejected = |rejected: wire::Rejected| {
            let id = InterceptionId::from_uuid(read_id(&rejected.id, "rejected.id")?);
            Ok(Rejected {
                id,
                reason: rejected.reason,
            })
        };
        Ok(Self {
            rejected: response.rejected.into_iter().map(rejected).collect::<Result<_, _>>()?,
        })
    }
}
