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
    }
    /// Endpoints with a JSON body.
    BadBody {
        "400": "The body is not JSON, or a field is invalid; see `validations`.",
        "413": "The body is larger than 1 MiB.",
        "415": "The body is not declared as `application/json`.",
    }
    /// Endpoints with query parameters.
    BadQuery {
        "400": "A query parameter is invalid, or names what is not there; see `validations`.",
    }
    /// Endpoints whose path takes an id and nothing else.
    BadId {
        "400": "The id in the path is malformed.",
    }
    /// Endpoints whose path names one thing.
    NotFound {
        "404": "It does not exist, or the caller may not see it.",
    }
    /// Endpoints that could leave the deployment without an owner.
    LastOwner {
        "409": "It is the last active owner.",
    }
    /// Endpoints that give somebody a credential.
    UserSuspended {
        "409": "The user is suspended.",
    }
    /// Endpoints that honour `Idempotency-Key`.
    IdempotencyKeyReused {
        "422": "The `Idempotency-Key` was used for another request.",
    }
    /// Endpoints that give a gateway key another secret.
    RotationInGrace {
        "409": "The previous secret is still in its grace period; `detail` says until when. `force` rotates anyway.",
    }
    /// Endpoints that take a provider away.
    ProviderInUse {
        "409": "Routes name the provider; `detail` says which.",
    }
    /// Endpoints that give a name.
    NameTaken {
        "409": "The name is already in use.",
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
