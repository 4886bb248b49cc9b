//! A client's request as it goes upstream, apart from what differs between attempts.

use crate::auth::credentials::Outgoing;
use crate::error::Refusal;
use crate::exchange::headers::{PackedHeaders, StrippedHeaders};
use crate::routing::allow_list;
use crate::routing::provider::Provider;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::interception::CredentialKind;
use lychgate_wire::provider::{AllowedPath, describe};

/// Making it consumes the client's headers, since only stripped ones go upstream: what has to be read of them is read before.
#[derive(Debug)]
pub(crate) struct UpstreamRequest {
    method: Method,
    /// As the client sent it.
    uri: Uri,
    /// The entry of the allow-list that its path is on.
    path: &'static AllowedPath,
    /// Length of the part of that path with which base URLs end already.
    base: usize,
    headers: Headers,
}

#[derive(Debug)]
enum Headers {
    Whole(StrippedHeaders),
    /// For the attempts after the first.
    Packed(PackedHeaders),
    /// The last attempt took them.
    Gone,
}

/// Whether another attempt may follow the one that a request is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    Last,
    MoreMayFollow,
}

impl UpstreamRequest {
    /// For a request whose answer is read while it is relayed. `provider` is the one that the client named.
    pub(crate) fn recorded(
        head: Parts,
        provider: &Provider,
        path: &'static AllowedPath,
        credential: CredentialKind,
    ) -> Self {
        Self::new(head, provider, path, |headers| {
            StrippedHeaders::of_recorded(headers, credential)
        })
    }

    /// For a request that is only passed through.
    pub(crate) fn unrecorded(
        head: Parts,
        provider: &Provider,
        path: &'static AllowedPath,
        credential: CredentialKind,
    ) -> Self {
        Self::new(head, provider, path, |headers| {
            StrippedHeaders::of_unrecorded(headers, credential)
        })
    }

    fn new(
        head: Parts,
        provider: &Provider,
        path: &'static AllowedPath,
        strip: impl FnOnce(HeaderMap) -> StrippedHeaders,
    ) -> Self {
        Self {
            method: head.method,
            uri: head.uri,
            path,
            base: describe(provider.config.provider_type).base_path.len(),
            headers: Headers::Whole(strip(head.headers)),
        }
    }

    /// Where the request goes at this provider. `model` is the one to ask for, where it is another than the client's: it is put in
    /// where the path names one.
    pub(crate) fn url(&self, provider: &Provider, model: Option<&str>) -> Result<Uri, Refusal> {
        let (_, asked) = allow_list::split(self.uri.path()).unwrap_or_default();
        let renamed = match model.filter(|_| self.path.names_model()) {
            Some(model) => Some(self.path.with_model(asked, model).ok_or_else(unusable_model)?),
            None => None,
        };
        let path = renamed.as_deref().unwrap_or(asked);
        provider.url(path.get(self.base..).unwrap_or_default(), self.uri.query())
    }

    /// The request of one attempt.
    pub(crate) fn build(
        &mut self,
        url: Uri,
        body: Bytes,
        credential: &Outgoing,
        position: Position,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = url;
        *request.headers_mut() = self.headers(position).with_credential(credential);
        request
    }

    fn headers(&mut self, position: Position) -> StrippedHeaders {
        match std::mem::replace(&mut self.headers, Headers::Gone) {
            Headers::Whole(headers) => {
                if position == Position::MoreMayFollow {
                    self.headers = Headers::Packed(PackedHeaders::new(&headers));
                }
                headers
            }
            Headers::Packed(packed) => {
                let headers = packed.unpack();
                self.headers = Headers::Packed(packed);
                headers
            }
            Headers::Gone => StrippedHeaders::default(),
        }
    }
}

fn unusable_model() -> Refusal {
    let message = "a route names a model for this request that can't stand in its path: an owner must change the route";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Refused::RouteUnusable, message)
}
