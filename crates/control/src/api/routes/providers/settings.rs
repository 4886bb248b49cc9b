//! Settings in requests and in the document. Which ones a type has is a matter of its description (crate `wire`): one that does not fit
//! has the right form, and is refused.

use super::base_url;
use crate::api::validate::Validations;
use lychgate_types::provider::ProviderType;
use lychgate_types::settings::{MOST, ProviderSettings, VALUE_BYTES};
use lychgate_wire::provider::{SettingValue, describe};
use std::collections::BTreeMap;
use utoipa::openapi::schema::{AdditionalProperties, SchemaType};
use utoipa::openapi::{Object, ObjectBuilder, Type};

/// What a request says of settings.
pub(super) type SettingsChange = BTreeMap<String, Option<String>>;

/// These settings with a change.
pub(super) fn changed(known: &ProviderSettings, change: Option<SettingsChange>) -> ProviderSettings {
    known.with(change.unwrap_or_default())
}

/// Notes what does not fit the type, and which URLs lead where this provider may not go. Gives the settings with each URL in its one form,
/// so that what is stored and shown is what was checked.
pub(super) fn check(
    validations: &mut Validations,
    provider_type: ProviderType,
    settings: &ProviderSettings,
    allow_private: bool,
) -> ProviderSettings {
    let description = describe(provider_type);
    for misfit in description.misfits(settings) {
        match misfit.name.as_str() {
            "" => validations.refuse("settings", misfit.why),
            name => validations.refuse(format!("settings.{name}"), misfit.why),
        }
    }
    let form = description.key_form(settings).map_or(&[][..], |form| form.settings);
    let mut urls = Vec::new();
    for rule in description.settings.iter().chain(form) {
        let Some(text) = settings.get(rule.name).filter(|_| rule.takes == SettingValue::Url) else {
            continue;
        };
        match base_url::parse(text, allow_private) {
            // It may have grown: what is no ASCII is written in ASCII.
            Ok(url) if url.len() > VALUE_BYTES => validations.refuse(format!("settings.{}", rule.name), base_url::FORM),
            Ok(url) => urls.push((rule.name.to_owned(), Some(url))),
            Err(why) => validations.refuse(format!("settings.{}", rule.name), why),
        }
    }
    settings.with(urls)
}

/// The schema of settings.
pub(super) fn schema() -> Object {
    let about = "What its address does not say of it, and what its keys are (`credential`), by name.";
    settings(Type::String.into(), Type::Object.into(), about)
}

/// The schema of a change of them.
pub(super) fn change() -> Object {
    let about = "What the address does not say, and what the keys are (`credential`), by name; which settings there are depends on the \
                 type. Null removes one, and what is left out stays as it is.";
    let or_null = |kind| SchemaType::from_iter([kind, Type::Null]);
    settings(or_null(Type::String), or_null(Type::Object), about)
}

fn settings(value: SchemaType, whole: SchemaType, about: &str) -> Object {
    let value = ObjectBuilder::new().schema_type(value).max_length(Some(VALUE_BYTES));
    ObjectBuilder::new()
        .schema_type(whole)
        .max_properties(Some(MOST))
        .additional_properties(Some(AdditionalProperties::from(value)))
        .description(Some(about))
        .build()
}
