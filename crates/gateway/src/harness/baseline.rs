//! The relay alone: no token is asked for, nothing is read beside the relay, nothing is recorded. `bench/` measures it to tell
//! what governance costs. Not used by the product.

use crate::error::Refusal;
use crate::exchange::headers::{AnswerBody, StrippedHeaders, to_client};
use crate::gateway::StartError;
use crate::inbound::front::{Answering, DataPlane, Front};
use crate::options::Options;
use crate::resilience::retry::millis;
use crate::routing::allow_list;
use crate::routing::provider::Provider;
use crate::routing::table::Table;
use crate::upstream::Upstream;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use lychgate_link::Configuration;
use lychgate_stream::{Failure, Idle, Joined, Last, LastWords, ReadError, ReadLimits, RelayBody, Watch, read_bounded};
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::interception::CredentialKind;
use lychgate_wire::provider::likely_family;
use std::net::IpAddr;
use std::sync::Arc;

/// Serves `/ai/PROVIDER/…` for the providers of a configuration, without a token. Needs a Tokio runtime.
pub fn front(options: Options, configuration: &Configuration) -> Result<Front, StartError> {
    let parts = Arc::new(Parts {
        upstream: Upstream::new(&options.provider_cas, options.proxy.clone()).map_err(StartError::Tls)?,
        table: Table::default().next(configuration),
        options,
    });
    Ok(Front::new(Relay(Arc::clone(&parts)), Router::new(), &parts.options))
}

#[derive(Debug, Clone)]
struct Relay(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    options: Options,
    upstream: Upstream,
    table: Table,
}

impl DataPlane for Relay {
    fn answer(&self, request: Request<Body>, _: Option<IpAddr>) -> Answering {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { Ok(parts.answer(request).await) })
    }
}

impl Parts {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (name, rest) = allow_list::split(request.uri().path()).unwrap_or_default();
        let Some(provider) = self.table.provider(name) else {
            let family = likely_family(rest, |header| request.headers().contains_key(header));
            return Refusal::new(
                StatusCode::NOT_FOUND,
                Refused::UnknownProvider,
                "there is no provider of this name",
            )
            .into_response(family);
        };
        let answer = self.relay(provider, request).await;
        answer.unwrap_or_else(|refusal| refusal.into_response(provider.config.provider_type.wire_family()))
    }

    async fn relay(&self, provider: &Provider, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let (parts, mut body) = request.into_parts();
        let rest = allow_list::split(parts.uri.path()).map_or("", |(_, rest)| rest);
        let provider_type = provider.config.provider_type;
        allow_list::find(provider_type, &provider.config.policy.relay, &parts.method, rest)?;
        let url = provider.url(allow_list::tail(provider_type, rest), parts.uri.query())?;
        let (_, credential) = provider.pool.pick(&[], &[]).ok_or_else(|| provider.without_key())?;
        let limits = ReadLimits {
            bytes: self.options.body_limit,
            idle: self.options.body_idle_timeout,
            total: self.options.body_timeout,
        };
        let bytes = read_bounded(&mut body, limits, |_| Ok(()))
            .await
            .map_err(|_: ReadError<_, ()>| {
                Refusal::new(
                    StatusCode::BAD_REQUEST,
                    Refused::BodyUnreadable,
                    "the request body can't be read",
                )
            })?;
        let mut outgoing = Request::new(Full::new(bytes));
        *outgoing.method_mut() = parts.method;
        *outgoing.uri_mut() = url;
        *outgoing.headers_mut() =
            StrippedHeaders::of_recorded(parts.headers, CredentialKind::Centralized).with_credential(&credential);
        let response = self
            .upstream
            .send(&provider.config, outgoing)
            .await
            .map_err(|error| Refusal::new(StatusCode::BAD_GATEWAY, Refused::ProviderFailed, error.to_string()))?;
        let (mut parts, body) = response.into_parts();
        to_client(&mut parts.headers, AnswerBody::Unchanged);
        let relayed = RelayBody::new(
            Joined::new(body),
            Unwatched,
            Idle::new(millis(provider.config.policy.timeouts.idle_ms)),
        );
        Ok(Response::from_parts(parts, Body::new(relayed)))
    }
}

/// Looks at nothing.
struct Unwatched;

impl<B> Watch<B> for Unwatched {
    fn data(&mut self, bytes: Bytes) -> Bytes {
        bytes
    }

    fn complete(self) -> Last {
        Last::default()
    }

    fn failed(self, _: &Failure) -> LastWords {
        LastWords::Failure(Last::default())
    }

    fn left(self, _: B) {}
}
