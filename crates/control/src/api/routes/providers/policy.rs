//! Policies in requests and in the document. Its schema is made from the settings themselves, so that bounds and defaults are
//! told as they are.

use crate::api::validate::Validations;
use lychgate_types::policy::{PolicyChange, ProviderPolicy, Takes};
use serde_json::{Value, json};
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
}

/// The settings whose names begin with this and have no further dot.
fn group(prefix: &str, typed: fn(Type) -> SchemaType) -> ObjectBuilder {
    let object = ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(false)));
    let settings = ProviderPolicy::settings();
    let of_group = settings
        .iter()
        .filter_map(|setting| Some((setting.field.strip_prefix(prefix)?, setting)));
    of_group
        .filter(|(name, _)| !name.contains('.'))
        .fold(object, |object, (name, setting)| {
            let schema = ObjectBuilder::new()
                .default(Some(json!(setting.default)))
                .description(Some(setting.meaning.trim()));
            let schema = match &setting.takes {
                Takes::Whole(bounds) => schema
                    .schema_type(typed(Type::Integer))
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
                    .minimum(Some(*bounds.start()))
                    .maximum(Some(*bounds.end())),
                Takes::Flag => schema.schema_type(typed(Type::Boolean)),
                Takes::Word(words) => words_of(schema, words, typed(Type::String)),
            };
            object.property(name, schema)
        })
}

/// A string that is one of these words, or null where the type allows it.
fn words_of(schema: ObjectBuilder, words: &[&str], kind: SchemaType) -> ObjectBuilder {
    let null = matches!(&kind, SchemaType::Array(types) if types.contains(&Type::Null));
    let words = words.iter().map(|word| json!(word)).chain(null.then_some(Value::Null));
    schema.schema_type(kind).enum_values(Some(words))
}
