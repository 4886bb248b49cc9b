//! Provider keys on their way in.

use crate::api::error::ApiError;
use crate::api::schemas;
use crate::api::validate::Validations;
use crate::state::{App, KeyHome};
use lychgate_store::ProviderKeyInsert;
use lychgate_types::ProviderKeyId;
use lychgate_types::secret::ProviderSecret;
use lychgate_wire::provider::KeyForm;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// So many keys a provider may have.
pub(super) const MAX_KEYS: usize = 16;

/// A secret in a request. It has no `Debug` that could print it.
pub(super) struct SecretText(pub(super) ProviderSecret);

impl ToSchema for SecretText {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ProviderKeySecret")
    }
}

impl PartialSchema for SecretText {
    fn schema() -> RefOr<Schema> {
        schemas::provider_key().into()
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d).map(|text| Self(ProviderSecret::new(text)))
    }
}

/// Notes how many keys there may be.
pub(super) fn check_count(validations: &mut Validations, count: usize) {
    if count > MAX_KEYS {
        validations.add("keys", format!("a provider has at most {MAX_KEYS} keys"));
    }
}

/// Notes a secret that can't be one: it must fit into a header, and what its provider's keys are.
pub(super) fn check(validations: &mut Validations, field: &str, secret: &SecretText, form: Option<&KeyForm>) {
    let text = secret.0.expose();
    if !(1..=4096).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
        validations.add(
            field,
            "must be 1 to 4096 printable ASCII characters without spaces or line ends",
        );
    } else if let Some(misfit) = form.and_then(|form| form.misfit(text)) {
        validations.refuse(field, misfit);
    }
}

/// Seals a secret for a row of its own and for where it goes.
pub(super) fn seal(app: &App, home: &KeyHome<'_>, secret: &SecretText) -> Result<ProviderKeyInsert, ApiError> {
    let id: ProviderKeyId = app.ambient.new_id();
    Ok(ProviderKeyInsert {
        id,
        sealed: app.seal_provider_key(id, home, &secret.0).map_err(ApiError::internal)?,
        masked: secret.0.masked(),
    })
}
