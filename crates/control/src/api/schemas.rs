//! Schemas of what requests bring, as narrow as the handlers read it, where a derived one would be wider.
//!
//! Not here: what no schema can state (a time that is still to come, a public address, a name that is taken). That is refused
//! with 409, so that a request that fits the document never gets 400.

use lychgate_authz::{Action, Resource};
use lychgate_types::Texts;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::{
    AdditionalProperties, AnyOfBuilder, ArrayBuilder, KnownFormat, OneOfBuilder, SchemaFormat, SchemaType,
};
use utoipa::openapi::{Array, Object, ObjectBuilder, OpenApi, RefOr, Schema, Type};

/// A line of text: what every query parameter may be, and what a name is looked for by.
const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// Of a name, in any case.
const NAME: &str = "^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$";
/// Of a username, in any case.
const USERNAME: &str = "^[A-Za-z0-9]([A-Za-z0-9._+@-]*[A-Za-z0-9])?$";
/// Of the `next` of a listing.
const CURSOR: &str = "^[0-9a-fA-F]{48}$";
/// What a provider key may be: it must fit into a header.
const KEY: &str = "^[!-~]+$";

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn or_null(kind: Type) -> SchemaType {
    SchemaType::from_iter([kind, Type::Null])
}

/// The name of something that is made.
pub(crate) fn name() -> Object {
    let about = "1 to 64 characters: letters a to z, digits, and single dashes between them; stored in lower case.";
    let sized = text().min_length(Some(1)).max_length(Some(64)).pattern(Some(NAME));
    sized.description(Some(about)).build()
}

/// The name of a user who is made.
pub(crate) fn username() -> Object {
    let about = "1 to 200 characters: letters a to z, digits, and `.`, `_`, `+`, `@` and `-` between them; stored in lower case. An \
                 e-mail address can be one.";
    let sized = text().min_length(Some(1)).max_length(Some(200)).pattern(Some(USERNAME));
    sized.description(Some(about)).build()
}

/// What people call a user.
pub(crate) fn display_name() -> Object {
    let pattern = r"^[^\x00-\x20\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\x9f])?$";
    text()
        .schema_type(or_null(Type::String))
        .min_length(Some(1))
        .max_length(Some(100))
        .pattern(Some(pattern))
        .description(Some("What people call the user; null removes it."))
        .build()
}

/// Where a user is reached.
pub(crate) fn email() -> Object {
    let about = "Where the user is reached; null removes it. Nothing is sent there, and nobody is recognised by it.";
    text()
        .schema_type(or_null(Type::String))
        .max_length(Some(254))
        .pattern(Some("^[!-?A-~]+@[!-?A-~]+$"))
        .description(Some(about))
        .build()
}

/// One of an enum's texts, in a request. (In an answer a later version may have more of them.)
pub(crate) fn one_of<T: Texts>() -> Object {
    let texts = T::ALL.iter().map(|value| value.text());
    text().enum_values(Some(texts)).build()
}

/// The same, where it may be left out or null.
pub(crate) fn one_of_or_null<T: Texts>() -> Object {
    let texts = T::ALL.iter().map(|value| Some(value.text())).chain([None]);
    let nullable = text().schema_type(or_null(Type::String));
    nullable.enum_values(Some(texts)).build()
}

/// What a scope may be.
fn scope() -> Object {
    let words = |texts: Vec<&str>| texts.join("|");
    let resources = words(Resource::ALL.iter().map(|resource| resource.text()).collect());
    let actions = words(Action::ALL.iter().map(|action| action.text()).collect());
    let pattern = format!(r"^(\*|({resources}):(\*|{actions})(:own)?)$");
    text().pattern(Some(pattern)).build()
}

/// The scopes of a new token.
pub(crate) fn scopes() -> Array {
    let about = "The scopes that limit the role of its user: `*` for all that the role allows, `resource:action` or `resource:*`, the \
                 last two with `:own` for what belongs to the user alone. Default: `ai_request:create` and `interception:read:own`, \
                 what an AI client needs. A token can't create one with more rights than itself.";
    list_or_null(scope(), 1, None, about)
}

/// The networks of a gateway key.
pub(crate) fn networks() -> Array {
    let about = "The networks that its replicas may connect from, as addresses or in CIDR notation. Null, or left out in a new key: \
                 anywhere.";
    let octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    let group = "[0-9a-fA-F]{1,4}";
    let v4 = format!(r"^({octet}\.){{3}}{octet}/(3[0-2]|[12]?[0-9])$");
    let v6 = format!("^(({group}:){{7}}{group}|({group}:){{1,6}}:|::)/(12[0-8]|1[01][0-9]|[1-9]?[0-9])$");
    let format = |format: KnownFormat| text().format(Some(SchemaFormat::KnownFormat(format)));
    let network = AnyOfBuilder::new()
        .item(format(KnownFormat::Ipv4))
        .item(format(KnownFormat::Ipv6))
        .item(text().pattern(Some(v4)))
        .item(text().pattern(Some(v6)));
    list_or_null(network, 1, Some(64), about)
}

fn list_or_null(item: impl Into<Schema>, least: usize, most: Option<usize>, about: &str) -> Array {
    ArrayBuilder::new()
        .schema_type(or_null(Type::Array))
        .items(RefOr::T(item.into()))
        .min_items(Some(least))
        .max_items(most)
        .description(Some(about))
        .build()
}

/// A provider key on its way in.
pub(crate) fn provider_key() -> Object {
    text()
        .min_length(Some(1))
        .max_length(Some(4096))
        .pattern(Some(KEY))
        .build()
}

/// The id of something.
pub(crate) fn uuid() -> Object {
    let format = SchemaFormat::KnownFormat(KnownFormat::Uuid);
    text().format(Some(format)).build()
}

/// An object with exactly one of these members; the others may stand there as null.
pub(crate) fn either<const N: usize>(about: &str, members: [(&str, Object); N]) -> RefOr<Schema> {
    let names = members.each_ref().map(|(name, _)| *name);
    let only = members.map(|(name, schema)| {
        let null =
            |object: ObjectBuilder, other: &&str| object.property(*other, ObjectBuilder::new().schema_type(Type::Null));
        let others = names.iter().filter(|other| **other != name);
        let object = others.fold(ObjectBuilder::new().property(name, schema), null);
        object
            .required(name)
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
    });
    let one = only.into_iter().fold(OneOfBuilder::new(), OneOfBuilder::item);
    one.description(Some(about)).into()
}

/// The base URL of a provider.
pub(crate) fn base_url() -> Object {
    let about = "Absolute https URL; http and private addresses only with `allow_private`. Default: the public URL of the type; types \
                 without one require it.";
    let pattern = r"^https?://(([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z]+|[0-9]{1,2}(\.[0-9]{1,2}){3})(:[0-9]{1,4})?(/[A-Za-z0-9._~-]+)*/?$";
    text()
        .schema_type(or_null(Type::String))
        .max_length(Some(2000))
        .pattern(Some(pattern))
        .description(Some(about))
        .build()
}

/// A free text of several lines.
pub(crate) fn description() -> Object {
    text()
        .schema_type(or_null(Type::String))
        .max_length(Some(500))
        .pattern(Some(r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f]*$"))
        .description(Some("A free text of at most 500 characters; null stands for none."))
        .build()
}

/// The model, or the models, that a route is for.
pub(crate) fn models() -> Object {
    let about = "The model that clients request: an exact name, or a prefix followed by `*`. An exact name has precedence over a \
                 prefix, a longer prefix over a shorter one, and the older of two routes for the same.";
    let pattern = r"^[^*\x00-\x1f\x7f-\x9f]*(\*|[^*\x00-\x1f\x7f-\x9f])$";
    let sized = text().min_length(Some(1)).max_length(Some(256)).pattern(Some(pattern));
    sized.description(Some(about)).build()
}

/// A model to request instead of the client's.
pub(crate) fn model() -> Object {
    text()
        .schema_type(or_null(Type::String))
        .min_length(Some(1))
        .max_length(Some(256))
        .pattern(Some(r"^[^*\x00-\x1f\x7f-\x9f]+$"))
        .description(Some("The model to request there. Null, or left out: the client's."))
        .build()
}

/// Says of every query parameter what [`crate::api::extract::Query`] asks of all, and of every `after` what a cursor is. Like
/// all parameters of a query they can be left out, and are never null.
pub(crate) fn narrow_queries(document: &mut OpenApi) {
    let operations = document.paths.paths.values_mut().flat_map(|item| {
        let slots = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        slots.into_iter().flatten()
    });
    let parameters = operations.filter_map(|operation| operation.parameters.as_mut());
    for parameter in parameters.flatten() {
        if let RefOr::T(parameter) = parameter {
            narrow(parameter);
        }
    }
}

fn narrow(parameter: &mut Parameter) {
    let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema else {
        return;
    };
    if let SchemaType::Array(kinds) = &schema.schema_type
        && let Some(kind) = kinds.iter().find(|kind| **kind != Type::Null)
    {
        schema.schema_type = kind.clone().into();
    }
    let is_free = schema.schema_type == Type::String.into() && schema.enum_values.is_none() && schema.format.is_none();
    if is_free && parameter.parameter_in == ParameterIn::Query {
        let pattern = if parameter.name == "after" { CURSOR } else { LINE };
        schema.pattern = Some(pattern.to_owned());
    }
}
