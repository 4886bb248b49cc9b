//! `Idempotency-Key`: lets the server recognise a repeated request.

use http::HeaderValue;
use lychgate_types::Ambient;

use super::CallError;

pub(super) const HEADER: &str = "idempotency-key";

/// A key that no other request has.
#[derive(Debug)]
pub(super) struct IdempotencyKey(HeaderValue);

impl IdempotencyKey {
    pub(super) fn generate(ambient: &Ambient) -> Result<Self, CallError> {
        let mut bytes = [0; 16];
        ambient.fill(&mut bytes);
        let text = format!("lychgate-cli-{:032x}", u128::from_be_bytes(bytes));
        HeaderValue::try_from(text)
            .map(Self)
            .map_err(|why| CallError::Unusable(why.to_string()))
    }

    pub(super) fn value(&self) -> HeaderValue {
        self.0.clone()
    }
}
