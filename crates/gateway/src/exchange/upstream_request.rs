//! A client's request as it goes upstream, apart from what differs between attempts.

use crate::auth::credentials::Outgoing;
use crate::error::Refusal;
use crate::exchange::headers::{PackedHeaders, StrippedHeaders};
use crate::routing::provider::Provider;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::Full;
use lychgate_types::interception::CredentialKind;

/// Making it consumes the client's headers, since only stripped ones go upstream: what has to be read of them is read before.
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
    /// For a request whose answer is read while it is relayed. `tail` is where in the path that part begins which follows the
    /// provider's base URL.
    pub(crate) fn recorded(head: Parts, tail: usize, credential: CredentialKind) -> Self {
        Self::new(head, tail, |headers| StrippedHeaders::of_recorded(headers, credential))
    }

    /// For a request that is only passed through.
    pub(crate) fn unrecorded(head: Parts, tail: usize, credential: CredentialKind) -> Self {
        Self::new(head, tail, |headers| {
            StrippedHeaders::of_unrecorded(headers, credential)
        })
    }

    fn new(head: Parts, tail: usize, strip: impl FnOnce(HeaderMap) -> StrippedHeaders) -> Self {
        Self {
            method: head.method,
            uri: head.uri,
            tail,
            headers: Headers::Whole(strip(head.headers)),
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
