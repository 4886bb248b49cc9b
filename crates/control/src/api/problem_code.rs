//! The codes of the API's errors, each with its one status. `docs/errors.md` is made from their doc comments.
//!
//! Not here: the words for one request (`detail`), which whoever refuses it writes, and the body they stand in (`error`).

use http::StatusCode;
use lychgate_store::RuleBroken;
use lychgate_telemetry::metrics::labels::AuthenticationFailure;

lychgate_types::text_enum! {
    /// What programs look at in an error; never renamed.
    ProblemCode {
        /// A header, parameter or field is not valid. `validations` lists each of them, with what would be right.
        InvalidRequest = "invalid_request",
        /// A name breaks the rules for names; `detail` tells them.
        InvalidName = "invalid_name",
        /// A filter names something that does not exist, or that the caller may not see; `validations` says which.
        FilterUnmatched = "filter_unmatched",
        /// The path holds something else where an id belongs. Ids are UUIDs, as the listings show them.
        InvalidId = "invalid_id",
        /// The body is not valid JSON; `validations` says where it stops being so.
        MalformedJson = "malformed_json",
        /// The connection broke before the body was complete. Send the request again.
        BodyIncomplete = "body_incomplete",
        /// Values have the right form and can't be taken all the same: a time in the past, an address that is not public without
        /// `allow_private`, a network with bits beyond its prefix. `validations` lists each of them, with what would be right.
        ValueRefused = "value_refused",
        /// A gateway key names providers that do not exist; `validations` says which.
        NoSuchProvider = "no_such_provider",
        /// The gateway key to be replaced does not exist, and was not deleted in the last 31 days. The audit log has the names and ids of
        /// deleted ones.
        NoSuchGatewayKey = "no_such_gateway_key",
        /// The request names a key that the provider does not have. Get the provider to see its keys.
        NoSuchProviderKey = "no_such_provider_key",
        /// A route's providers do not exist, or don't take the requests that the route's own provider takes; `validations` says which.
        RouteProvidersUnfit = "route_providers_unfit",
        /// The request can't be read.
        BadRequest = "bad_request",
        /// The request has no user token. Send one as `authorization: Bearer lgu_…`.
        TokenMissing = "token_missing",
        /// What was sent is not a user token: it is cut off, mistyped or of another kind.
        TokenMalformed = "token_malformed",
        /// No token has this secret. It may belong to another deployment.
        TokenUnknown = "token_unknown",
        /// The token has expired. Create a new one.
        TokenExpired = "token_expired",
        /// The token was revoked. Create a new one.
        TokenRevoked = "token_revoked",
        /// The user of this token is suspended. An owner can activate the user again.
        UserSuspended = "user_suspended",
        /// The caller's role, or the scopes of the token, do not allow this.
        Forbidden = "forbidden",
        /// The token's scopes do not include the one in `detail`. Use a token that has it; scopes are given when a token is created.
        ScopeMissing = "scope_missing",
        /// A token can't create one with scopes that it does not have itself.
        ScopesTooWide = "scopes_too_wide",
        /// There is no such thing, or the caller may not see it.
        NotFound = "not_found",
        /// There is nothing at this path. `GET /api/v1/openapi.json` lists all paths.
        UnknownPath = "unknown_path",
        /// This path does not take this method; the `Allow` header lists those it takes.
        MethodNotAllowed = "method_not_allowed",
        /// Something else has this name; names are compared in lower case.
        NameTaken = "name_taken",
        /// Nobody would be left to run the deployment. Make another owner first.
        LastOwner = "last_owner",
        /// Tokens are created for active users only. Activate the user first.
        OwnerSuspended = "owner_suspended",
        /// Routes name the provider. Change or delete them first; `detail` names them.
        ProviderInUse = "provider_in_use",
        /// The gateway key was rotated, and its old secret still works. Wait until the time in `detail`, or use `force`.
        RotationInGrace = "rotation_in_grace",
        /// The body is larger than 1 MiB.
        BodyTooLarge = "body_too_large",
        /// The body is not declared as JSON. Send `content-type: application/json`.
        UnsupportedMediaType = "unsupported_media_type",
        /// This `Idempotency-Key` was used for a different request. Choose a new one.
        IdempotencyKeyReused = "idempotency_key_reused",
        /// A token can't make one for its own user that works for longer than itself. Ask for a shorter `lifetime_seconds`.
        OutlivesMaker = "outlives_maker",
        /// The user has reached the limit of working tokens. Revoke some first.
        TooManyTokens = "too_many_tokens",
        /// Provider keys are bound to one address and to what the settings say of them. Send them again together with the new `base_url`,
        /// `allow_private` or `settings`.
        ProviderKeysNeeded = "provider_keys_needed",
        /// The provider's address was changed by somebody else at the same time, and this change was made for the one before. Read the
        /// provider again, and repeat what still applies.
        ProviderMoved = "provider_moved",
        /// A fault of the control plane. Its log has more under the `request_id`.
        InternalError = "internal_error",
        /// Too many callers are sending unknown tokens, so this one can't be checked now. Try again shortly.
        Busy = "busy",
        /// The control plane's database does not answer. Try again shortly, as `Retry-After` says.
        DatabaseUnavailable = "database_unavailable",
        /// The control plane's database can't be written: its disk is full, read-only or failing. Reading goes on, and writing as
        /// soon as there is room.
        DatabaseNotWritable = "database_not_writable",
    }
}

impl ProblemCode {
    /// The status of every answer with this code. 400 is for what the OpenAPI document says is wrong; what no schema can state gets
    /// 409, or 403 where it is about rights.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest
            | Self::InvalidName
            | Self::InvalidId
            | Self::MalformedJson
            | Self::BodyIncomplete
            | Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::TokenMissing
            | Self::TokenMalformed
            | Self::TokenUnknown
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::UserSuspended => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::ScopeMissing | Self::ScopesTooWide | Self::OutlivesMaker => StatusCode::FORBIDDEN,
            Self::NotFound | Self::FilterUnmatched | Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::ValueRefused
            | Self::NoSuchProvider
            | Self::NoSuchGatewayKey
            | Self::NoSuchProviderKey
            | Self::RouteProvidersUnfit
            | Self::ProviderKeysNeeded
            | Self::ProviderMoved
            | Self::IdempotencyKeyReused
            | Self::TooManyTokens
            | Self::NameTaken
            | Self::LastOwner
            | Self::OwnerSuspended
            | Self::ProviderInUse
            | Self::RotationInGrace => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy | Self::DatabaseUnavailable | Self::DatabaseNotWritable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<&RuleBroken> for ProblemCode {
    fn from(rule: &RuleBroken) -> Self {
        match rule {
            RuleBroken::LastOwner => Self::LastOwner,
            RuleBroken::ScopesTooWide => Self::ScopesTooWide,
            RuleBroken::OwnerSuspended => Self::OwnerSuspended,
            RuleBroken::OutlivesMaker { .. } => Self::OutlivesMaker,
            RuleBroken::TooManyTokens { .. } => Self::TooManyTokens,
            RuleBroken::KeysNeeded => Self::ProviderKeysNeeded,
            RuleBroken::ProviderMoved => Self::ProviderMoved,
            RuleBroken::NoSuchGatewayKey => Self::NoSuchGatewayKey,
            RuleBroken::NoSuchProviderKey => Self::NoSuchProviderKey,
            RuleBroken::ProviderInUse { .. } => Self::ProviderInUse,
            RuleBroken::RotationInGrace { .. } => Self::RotationInGrace,
            RuleBroken::NoSuchProviders { .. } => Self::NoSuchProvider,
            RuleBroken::RouteProviders(_) => Self::RouteProvidersUnfit,
        }
    }
}

impl From<AuthenticationFailure> for ProblemCode {
    fn from(why: AuthenticationFailure) -> Self {
        match why {
            AuthenticationFailure::Missing => Self::TokenMissing,
            AuthenticationFailure::Malformed => Self::TokenMalformed,
            AuthenticationFailure::Unknown => Self::TokenUnknown,
            AuthenticationFailure::Expired => Self::TokenExpired,
            AuthenticationFailure::Revoked => Self::TokenRevoked,
            AuthenticationFailure::Suspended => Self::UserSuspended,
        }
    }
}
