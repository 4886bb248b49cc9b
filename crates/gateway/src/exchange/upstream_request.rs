//! A client's request as it goes upstream, but for what differs from attempt to attempt.

use crate::auth::credentials::Outgoing;
use crate::error::Refusal;
use crate::exchange::headers::strip;
use crate::exchange::packed_headers::PackedHeaders;
use crate::routing::provider::Provider;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::Full;

/// The headers are stripped when this is made, so whoever needs the client's own must look at them before.
#[derive(Debug)]
pub(crate) struct UpstreamRequest {
    method: Method,
    /// As the client sent it.
    uri: Uri,
    /// Where in the client's path that part begins which follows the provider's base URL.
    tail: usize,
    headers: Headers,
}

#[derive(Debug)]
enum Headers {
    Whole(HeaderMap),
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
    /// `readable` asks the provider for an answer that is not compressed.
    pub(crate) fn new(parts: Parts, tail: usize, readable: bool) -> Self {
        let mut headers = parts.headers;
        strip(&mut headers, readable);
        Self {
            method: parts.method,
            uri: parts.uri,
            tail,
            headers: Headers::Whole(headers),
        }
    }

    /// Where the request goes at this provider.
    pub(crate) fn url(&self, provider: &Provider) -> Result<Uri, Refusal> {
        let tail = self.uri.path().get(self.tail..).unwrap_or_default();
        provider.url(tail, self.uri.query())
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
        *request.headers_mut() = self.headers(position);
        let headers = request.headers_mut();
        headers.insert(credential.name.clone(), credential.value.clone());
        request
    }

    fn headers(&mut self, position: Position) -> HeaderMap {
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
            Headers::Gone => HeaderMap::new(),
        }
    }
}
