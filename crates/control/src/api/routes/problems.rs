//! Error answers in the OpenAPI document, in sets that belong together.

use std::collections::BTreeMap;
use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

macro_rules! sets {
    ($($(#[$doc:meta])* $name:ident { $($status:literal: $description:literal,)* })*) => { $(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                BTreeMap::from([$(($status.to_owned(), problem($description)),)*])
            }
        }
    )* };
}

sets! {
    /// Every endpoint.
    Always {
        "401": "No user token, or one that is malformed, unknown, expired, revoked, or of a suspended user. See `code`.",
        "403": "The caller's role, or the token's scopes, do not allow this.",
        "500": "Internal error. The server's log has details under the `request_id`.",
        "503": "The database does not answer, or can't be written, or too many unknown tokens are being checked. See `code` and \
                `Retry-After`.",
    }
    /// Endpoints with a JSON body.
    BadBody {
        "400": "The body is not JSON, or a field is invalid; see `validations`.",
        "413": "The body is larger than 1 MiB.",
        "415": "The body is not declared as `application/json`.",
    }
    /// Endpoints with query parameters.
    BadQuery {
        "400": "A query parameter is invalid; see `validations`.",
        "404": "A filter names somebody or something that does not exist; see `validations`.",
    }
    /// Endpoints whose path takes an id and nothing else.
    BadId {
        "400": "The id in the path is malformed.",
    }
    /// Endpoints whose path names one thing.
    NotFound {
        "404": "It does not exist, or the caller may not see it.",
    }
    /// Endpoints whose request can be right as the document has it, and still not be done.
    Conflict {
        "409": "What is there, or a rule that no schema can state, does not allow it: `code` says which, and `detail` what to do.",
    }
}

fn problem(description: &str) -> RefOr<Response> {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build()
        .into()
}
