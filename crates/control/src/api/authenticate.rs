//! Who is calling the API: `authorization: Bearer lgu_…`.

use crate::api::error::ApiError;
use crate::link::authorization::check_token;
use crate::state::existing::Existence;
use crate::state::key_lookups::source;
use crate::state::{App, Asker};
use axum::extract::{ConnectInfo, FromRequestParts};
use http::header;
use http::request::Parts;
use lychgate_authz::{Caller, Principal, UserPrincipal};
use lychgate_link::DenyReason;
use lychgate_store::TokenAuthentication;
use lychgate_telemetry::metrics::labels::AuthenticationFailure;
use lychgate_types::RequestId;
use lychgate_types::secret::UserTokenSecret;
use std::net::SocketAddr;

/// A caller who showed a good token. Handlers take it before the body, so that strangers get no further than a 401.
pub(crate) struct Authenticated {
    /// What the store's methods want.
    pub(crate) caller: Caller,
    /// The token shown, and whose it is.
    pub(crate) token: TokenAuthentication,
}

impl FromRequestParts<App> for Authenticated {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let request_id = parts.extensions.get::<RequestId>().copied();
        let secret = bearer(app, parts)?;
        let plane = Caller {
            request_id,
            ..Caller::control_plane()
        };
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        let hash = secret.hash();
        match app.token_exists(&hash, Asker::Caller(source(peer))).await? {
            Existence::Known => {}
            Existence::Unknown => return Err(refused(app, DenyReason::Unknown)),
            Existence::NotYet(_) | Existence::Unread => return Err(ApiError::busy()),
        }
        let found = app.store.token_authenticate(&plane, &hash).await?;
        let token = found.ok_or_else(|| refused(app, DenyReason::Unknown))?;
        check_token(&token, app.ambient.now()).map_err(|reason| refused(app, reason))?;
        app.touch_token(token.token_id).await;
        let principal = Principal::User(UserPrincipal {
            user_id: token.user_id,
            token_id: token.token_id,
            role: token.role,
            scopes: token.scopes.clone(),
        });
        Ok(Self {
            caller: Caller { principal, request_id },
            token,
        })
    }
}

/// Reads the header and checks the token's form; the database is not asked about what can't be a token.
fn bearer(app: &App, parts: &Parts) -> Result<UserTokenSecret, ApiError> {
    let Some(value) = parts.headers.get(header::AUTHORIZATION) else {
        let detail = "send a user token with the header authorization: Bearer lgu_…";
        return Err(stranger(app, AuthenticationFailure::Missing, detail));
    };
    let text = value.to_str().unwrap_or("");
    let (scheme, text) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        let detail = "the authorization header must have the form: Bearer lgu_…";
        return Err(stranger(app, AuthenticationFailure::Malformed, detail));
    }
    UserTokenSecret::parse(text.trim()).map_err(|error| {
        let hint = if text.trim().starts_with("lgw_") {
            "; a gateway key does not open the API"
        } else {
            ""
        };
        let detail = format!("this is no user token: {error}{hint}");
        stranger(app, AuthenticationFailure::Malformed, detail)
    })
}

fn refused(app: &App, reason: DenyReason) -> ApiError {
    let (why, detail) = match reason {
        DenyReason::Unknown => (AuthenticationFailure::Unknown, "no such token"),
        DenyReason::Expired => (
            AuthenticationFailure::Expired,
            "the token has expired; create a new one",
        ),
        DenyReason::Revoked => (AuthenticationFailure::Revoked, "the token was revoked"),
        DenyReason::Suspended => (AuthenticationFailure::Suspended, "the user of this token is suspended"),
    };
    stranger(app, why, detail)
}

fn stranger(app: &App, why: AuthenticationFailure, detail: impl Into<String>) -> ApiError {
    app.counts.strangers.count(why);
    ApiError::new(why.into(), detail)
}
