//! `Idempotency-Key`: the same request again within an hour gets the same answer, secret included. The answer is kept
//! sealed, in the transaction of the deed itself.

use crate::api::error::{ApiError, Validation};
use crate::state::App;
use axum::extract::OptionalFromRequestParts;
use http::StatusCode;
use http::request::Parts;
use lychgate_authz::Caller;
use lychgate_store::{Idempotency, Operation, Sealed};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The header's value.
pub(crate) struct IdempotencyKey(String);

impl<S: Send + Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, ApiError> {
        let Some(value) = parts.headers.get("idempotency-key") else {
            return Ok(None);
        };
        match value.to_str() {
            Ok(text) if (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) => {
                Ok(Some(Self(text.to_owned())))
            }
            _ => {
                let detail = "must be 1 to 255 visible ASCII characters without spaces".to_owned();
                let validation = Validation {
                    field: "Idempotency-Key".to_owned(),
                    detail,
                };
                Err(ApiError::invalid(
                    "invalid_request",
                    "a header does not fit",
                    vec![validation],
                ))
            }
        }
    }
}

/// A request under an idempotency key.
pub(crate) struct Request<'a> {
    operation: Operation,
    key: String,
    caller: &'a Caller,
    fingerprint: [u8; 32],
}

impl<'a> Request<'a> {
    /// `body` is the request as it was understood, so that white space and the order of fields do not matter.
    pub(crate) fn new(
        operation: Operation,
        IdempotencyKey(key): IdempotencyKey,
        caller: &'a Caller,
        body: &impl Serialize,
    ) -> Result<Self, ApiError> {
        let body = serde_json::to_vec(body).map_err(ApiError::internal)?;
        Ok(Self {
            operation,
            key,
            caller,
            fingerprint: Sha256::digest(body).into(),
        })
    }

    /// The answer given before, if there is one; an error where the key was used for another request.
    pub(crate) async fn remembered(&self, app: &App) -> Result<Option<Zeroizing<Vec<u8>>>, ApiError> {
        let Some(found) = app
            .store
            .idempotency_find(self.caller, self.operation, &self.key)
            .await?
        else {
            return Ok(None);
        };
        if found.request_fingerprint != self.fingerprint {
            return Err(ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "this Idempotency-Key was used for another request; choose a new one",
            ));
        }
        let (row, column) = self.sealed_for();
        app.sealer
            .open_bytes(&Sealed::from_bytes(found.sealed_answer), row, &column)
            .map(Some)
            .map_err(ApiError::internal)
    }

    /// What the store is to keep with the deed.
    pub(crate) fn remember(&self, app: &App, answer: &[u8]) -> Result<Idempotency, ApiError> {
        let (row, column) = self.sealed_for();
        let sealed = app
            .sealer
            .seal_bytes(&app.ambient, answer, row, &column)
            .map_err(ApiError::internal)?;
        Ok(Idempotency {
            key: self.key.clone(),
            request_fingerprint: self.fingerprint,
            sealed_answer: sealed.into_bytes(),
        })
    }

    /// An answer is sealed for its user and key, so that it opens under no other.
    fn sealed_for(&self) -> (uuid::Uuid, String) {
        let user = self
            .caller
            .principal
            .user_id()
            .map_or_else(uuid::Uuid::nil, |user| user.as_uuid());
        (user, format!("idempotency_keys.sealed_answer {}", self.key))
    }
}
