//! The OpenAPI document: what the handlers' own docs do not say. Committed as `openapi.json` beside this crate's manifest.

use crate::api::error::{ProblemBody, Validation};
use lychgate_types::Texts;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Object, ObjectBuilder, OpenApi as Document, Type};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lychgate",
        description = "The API of a Lychgate control plane. Every response has an `x-request-id` header; errors are \
                       `application/problem+json` with a stable `code`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        version = env!("CARGO_PKG_VERSION"),
        contact(),
    ),
    components(schemas(ProblemBody, Validation)),
    security(("user_token" = [])),
    modifiers(&Bearer),
    tags(
        (name = "whoami", description = "Who the caller is."),
        (name = "users", description = "People and services with an account."),
        (name = "tokens", description = "User tokens, which AI clients and API callers authenticate with."),
        (name = "ai-gateway/keys", description = "Gateway keys, which replicas authenticate with."),
        (name = "ai-gateway/replicas", description = "The replicas of all control planes."),
        (name = "ai-gateway/providers", description = "Upstreams and their sealed keys."),
        (name = "ai-gateway/routes", description = "Where requests for certain models go: weighted targets and fallbacks."),
        (name = "ai-gateway/interceptions", description = "AI requests through the gateway."),
        (name = "audit-entries", description = "Who did what, including refused attempts."),
    ),
)]
struct Base;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A user token: `lgu_…`."))
            .build();
        document
            .components
            .get_or_insert_with(Components::new)
            .add_security_scheme("user_token", SecurityScheme::Http(scheme));
    }
}

/// The schema of a field that holds one of an enum's texts. They are not listed as its only values: a later version may have
/// more, which a client that was generated from this document must bear.
pub(crate) fn known_texts<T: Texts>() -> Object {
    let quoted: Vec<_> = T::ALL.iter().map(|value| format!("`{}`", value.text())).collect();
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(format!("One of {}.", quoted.join(", "))))
        .build()
}

/// The document without its paths.
pub(crate) fn base() -> Document {
    Base::openapi()
}

/// The whole document as pretty JSON, with a line end.
pub fn openapi() -> String {
    let mut document = crate::api::router::api().into_openapi();
    crate::api::schemas::narrow_queries(&mut document);
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    /// `UPDATE_GENERATED=1` (as `cargo xtask generate` sets it) writes the file instead.
    #[test]
    fn the_committed_document_is_the_router() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::write(path, super::openapi()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(
            committed == super::openapi(),
            "{path} is stale: run `cargo xtask generate` and read the difference"
        );
    }
}
