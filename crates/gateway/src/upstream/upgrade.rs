//! Requests that ask a provider for another protocol. Each has a connection of its own, over HTTP/1.1, which is never pooled.

use super::dial::Target;
use super::error::SendError;
use super::h1::ANSWER_FIELDS;
use super::{Inner, Upstream};
use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use lychgate_link::ProviderConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// What a provider answers to such a request.
pub(crate) enum Upgrade {
    /// The head of its 101, and the connection behind it.
    Changed(Response<()>, TokioIo<Upgraded>),
    /// Anything else, an error as a rule.
    Refused(Response<Incoming>),
}

impl Upstream {
    /// Sends a request for another protocol to this provider (to one of its URLs, without `Host`).
    pub(crate) async fn upgrade(
        &self,
        provider: &ProviderConfig,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Upgrade, SendError> {
        let Inner { dialer, proxy, .. } = &*self.0;
        let target = Target::tunnelled(provider, request.uri(), proxy)
            .ok_or_else(|| SendError::Connect("the URL is not absolute".into()))?;
        let limit = Duration::from_millis(provider.policy.timeouts.connect_ms.into());
        let dialled = timeout(limit, Arc::clone(dialer).dial(&target, limit)).await;
        let stream = dialled.unwrap_or(Err(SendError::ConnectTimeout))?;
        if let Some(path) = request.uri().path_and_query() {
            *request.uri_mut() = Uri::from(path.clone());
        }
        request.headers_mut().insert(HOST, target.host.clone());
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(ANSWER_FIELDS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(SendError::Broken)?;
        // It ends with the change of the protocol, or when the answer and the sender are dropped.
        tokio::spawn(connection.with_upgrades());
        let mut response = sender.send_request(request).await.map_err(SendError::Broken)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Upgrade::Refused(response));
        }
        let connection = hyper::upgrade::on(&mut response).await.map_err(SendError::Broken)?;
        Ok(Upgrade::Changed(response.map(drop), TokioIo::new(connection)))
    }
}
