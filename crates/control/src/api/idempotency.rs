//! `Idempotency-Key`, for every endpoint whose answer shows a secret once: the same request again within an hour gets the same
//! answer, secret included, and changes nothing. The answer is kept sealed, in the transaction of the change itself.

use crate::api::error::{ApiError, Validation};
use crate::api::problem_code::ProblemCode;
use crate::state::App;
use axum::extract::OptionalFromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{StatusCode, header};
use lychgate_authz::{Caller, Principal};
use lychgate_store::seal::SealError;
use lychgate_store::{Idempotency, Operation, Sealed, StoreError};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use zeroize::Zeroizing;

const HEADER: &str = "Idempotency-Key";

/// The header's value.
pub(crate) struct IdempotencyKey(String);

impl<S: Send + Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, ApiError> {
        let Some(value) = parts.headers.get(HEADER) else {
            return Ok(None);
        };
        match value.to_str() {
            Ok(text) if (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) => {
                Ok(Some(Self(text.to_owned())))
            }
            _ => {
                let validation = Validation {
                    field: HEADER.to_owned(),
                    detail: "must be 1 to 255 visible ASCII characters without spaces".to_owned(),
                };
                Err(ApiError::invalid(
                    ProblemCode::InvalidRequest,
                    "a header is not valid",
                    vec![validation],
                ))
            }
        }
    }
}

impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(255))
            .pattern(Some("^[!-~]+$"));
        let parameter = ParameterBuilder::new()
            .name(HEADER)
            .parameter_in(ParameterIn::Header)
            .description(Some(
                "Chosen by the caller: visible ASCII characters without spaces. Repeating the same request with the same key \
                 within an hour returns the same response, including the secret, and changes nothing; a different request with \
                 that key is refused (409). Keys are separate for each user and operation.",
            ))
            .schema(Some(text));
        vec![parameter.build()]
    }
}

/// One request whose answer shows a secret once, under the caller's idempotency key if there is one.
pub(crate) struct ShownOnce<'a> {
    app: &'a App,
    caller: &'a Caller,
    operation: Operation,
    key: Option<(String, [u8; 32])>,
}

impl<'a> ShownOnce<'a> {
    /// `request` is all that was asked for, as it was understood: white space and the order of fields do not matter.
    pub(crate) fn new(
        app: &'a App,
        caller: &'a Caller,
        operation: Operation,
        key: Option<IdempotencyKey>,
        request: &impl Serialize,
    ) -> Result<Self, ApiError> {
        let key = match key {
            Some(IdempotencyKey(key)) => Some((key, fingerprint(caller, request)?)),
            None => None,
        };
        Ok(Self {
            app,
            caller,
            operation,
            key,
        })
    }

    /// Answers as before, if this request was answered before; otherwise by `work`, which is not begun until then.
    pub(crate) async fn answer<T: Serialize>(
        &self,
        status: StatusCode,
        work: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<Response, ApiError> {
        if let Some(answer) = self.remembered().await? {
            return Ok(json(status, &answer));
        }
        match work.await {
            Ok(answer) => Ok(json(status, &text(&answer).map_err(ApiError::internal)?)),
            // The same request may have been made at the same moment, and have won.
            Err(error) => match self.remembered().await {
                Ok(Some(answer)) => Ok(json(status, &answer)),
                Ok(None) | Err(_) => Err(error),
            },
        }
    }

    /// For the store: remembers the answer that `show` makes of the changed row.
    pub(crate) fn remember<'s, Row, T: Serialize>(
        &'s self,
        show: &'s (impl Fn(&Row) -> T + Sync),
    ) -> Option<Idempotency<'s, Row>> {
        let (key, request_fingerprint) = self.key.clone()?;
        let (row_id, column) = self.sealed_for(&key);
        let answer = move |row: &Row| {
            // What is serialised are our own structs of texts and numbers: this can't fail.
            let answer = text(&show(row)).map_err(|_| SealError::Damaged)?;
            let (sealer, ambient) = (&self.app.sealer, &self.app.ambient);
            Ok(sealer.seal_bytes(ambient, &answer, row_id, &column)?.into_bytes())
        };
        Some(Idempotency {
            key,
            request_fingerprint,
            answer: Box::new(answer),
        })
    }

    /// The answer given before, if there is one; an error where the key was used for another request.
    async fn remembered(&self) -> Result<Option<Zeroizing<Vec<u8>>>, ApiError> {
        let Some((key, fingerprint)) = &self.key else {
            return Ok(None);
        };
        let found = self.app.store.idempotency_find(self.caller, self.operation, key).await;
        let found = match found {
            Ok(Some(found)) => found,
            // The work itself is refused, too, and the store records that for the audit log.
            Ok(None) | Err(StoreError::Denied(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if found.request_fingerprint != *fingerprint {
            return Err(ApiError::new(
                ProblemCode::IdempotencyKeyReused,
                "this Idempotency-Key was used for another request; choose a new one",
            ));
        }
        let (row_id, column) = self.sealed_for(key);
        let opened = self
            .app
            .sealer
            .open_bytes(&Sealed::from_bytes(found.sealed_answer), row_id, &column);
        opened.map(Some).map_err(ApiError::internal)
    }

    /// An answer is sealed for its user and key, so that it opens under no other.
    fn sealed_for(&self, key: &str) -> (uuid::Uuid, String) {
        let user = self.caller.principal.user_id();
        let user = user.map_or_else(uuid::Uuid::nil, |user| user.as_uuid());
        (user, format!("idempotency_keys.sealed_answer {key}"))
    }
}

/// The token in use is part of the request: the answer to one token of a user, which may show a secret that can do more than
/// another of the user's tokens, is not for that other.
fn fingerprint(caller: &Caller, request: &impl Serialize) -> Result<[u8; 32], ApiError> {
    let token = match &caller.principal {
        Principal::User(user) => Some(user.token_id),
        Principal::Replica { .. } | Principal::ControlPlane => None,
    };
    let text = text(&(token, request)).map_err(ApiError::internal)?;
    Ok(Sha256::digest(&text).into())
}

fn text(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    serde_json::to_vec(value).map(Zeroizing::new)
}

fn json(status: StatusCode, body: &[u8]) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_vec()).into_response()
}
