//! Policies in requests and in the document. Its schema is made from the settings themselves, so that bounds and defaults are
//! told as they are.

use crate::api::validate::Validations;
use lychgate_types::policy::{PolicyChange, ProviderPolicy};
use std::borrow::Cow;
use utoipa::openapi::schema::{AdditionalProperties, KnownFormat, SchemaFormat, SchemaType};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Reads what a request says of a policy; notes each setting that is out of bounds.
pub(super) fn read(validations: &mut Validations, change: Option<PolicyChange>) -> PolicyChange {
    let change = change.unwrap_or_default();
    // The bounds of one setting do not hang on another's value, so what the change is put upon does not matter.
    for misfit in change.over(ProviderPolicy::default()).misfits() {
        let bounds = format!("must be a whole number from {} to {}", misfit.least, misfit.most);
        validations.add(format!("policy.{}", misfit.field), bounds);
    }
    change
}

/// The schema of a whole policy.
pub(super) struct Policy;

/// The schema of a change of one.
pub(super) struct Change;

impl ToSchema for Policy {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Policy")
    }
}

impl PartialSchema for Policy {
    fn schema() -> RefOr<Schema> {
        policy(|kind| kind.into())
            .description(Some("How the gateway treats a provider."))
            .into()
    }
}

impl ToSchema for Change {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("PolicyChange")
    }
}

impl PartialSchema for Change {
    fn schema() -> RefOr<Schema> {
        policy(|kind| SchemaType::from_iter([kind, Type::Null]))
            .description(Some(
                "How the gateway is to treat a provider. What is left out, or null, stays as it is.",
            ))
            .into()
    }
}

/// What both have; `typed` makes a setting's type of the type of its values.
fn policy(typed: fn(Type) -> SchemaType) -> ObjectBuilder {
    let group = |prefix| group(prefix, typed);
    let http2 = ObjectBuilder::new()
            .schema_type(typed(Type::Boolean))
            .default(Some(ProviderPolicy::default().http2.into()))
            .description(Some(
                "Whether to use HTTP/2 if the provider supports it. An HTTP/2 connection limits the number of concurrent streams.",
            ));
    group("")
        .property(
            "retry",
            group("retry.").description(Some("When a failed attempt is retried.")),
        )
        .property(
            "timeouts",
            group("timeouts.").description(Some("Deadlines of one attempt.")),
        )
        .property(
            "breaker",
            group("breaker.").description(Some("When a circuit breaker opens, and for how long.")),
        )
        .property(
            "relay",
            group("relay.").description(Some("What is relayed, and what is asked for on the way.")),
        )
        .property("http2", http2)
}

/// The whole-number settings whose names begin with this and have no further dot.
fn group(prefix: &str, typed: fn(Type) -> SchemaType) -> ObjectBuilder {
    let object = ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(false)));
    let settings = ProviderPolicy::settings();
    let of_group = settings
        .iter()
        .filter_map(|setting| Some((setting.field.strip_prefix(prefix)?, setting)));
    of_group
        .filter(|(name, _)| !name.contains('.'))
        .fold(object, |object, (name, setting)| {
            let number = ObjectBuilder::new()
                .schema_type(typed(Type::Integer))
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
                .minimum(Some(setting.least))
                .maximum(Some(setting.most))
                .default(Some(setting.default.into()))
                .description(Some(setting.meaning.trim()));
            object.property(name, number)
        })
}
