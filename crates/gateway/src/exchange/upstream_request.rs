//! A client's request as it goes upstream, apart from what differs between attempts.

use crate::auth::credentials::Outgoing;
use crate::error::Refusal;
use crate::exchange::headers::{PackedHeaders, StrippedHeaders};
use crate::routing::allow_list::{self, takes_paths_of};
use crate::routing::provider::Provider;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::Ambient;
use lychgate_types::interception::CredentialKind;
use lychgate_types::provider::ProviderType;
use lychgate_wire::provider::{AllowedPath, describe};

/// Making it consumes the client's headers, since only stripped ones go upstream: what has to be read of them is read before.
#[derive(Debug)]
pub(crate) struct UpstreamRequest {
    method: Method,
    /// As the client sent it.
    uri: Uri,
    /// The type of the provider that it names.
    provider_type: ProviderType,
    /// The entry of that type's allow-list that its path is on.
    path: &'static AllowedPath,
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
            provider_type: provider.config.provider_type,
            path,
            headers: Headers::Whole(strip(head.headers)),
        }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// Where a provider offers what the client asks for: a type other than the one that is addressed has a path of its own for it.
    pub(crate) fn path_at(&self, provider: &Provider) -> Result<&'static AllowedPath, Refusal> {
        if self.is_for(provider) {
            return Ok(self.path);
        }
        let description = describe(provider.config.provider_type);
        let offered = description.offering(self.path.operation, self.method.as_str());
        offered.ok_or_else(|| {
            let message = "a route leads to a provider that does not offer what this request asks for: an owner must change the route";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Refused::RouteUnusable, message)
        })
    }

    /// Where the request goes at this provider, whose path this is ([`Self::path_at`]). `model` is the one to ask for, where the path
    /// has to be written for it.
    pub(crate) fn url(&self, provider: &Provider, path: &AllowedPath, model: Option<&str>) -> Result<Uri, Refusal> {
        let (is_own, query) = (self.is_for(provider), self.uri.query());
        let (_, rest) = allow_list::split(self.uri.path()).unwrap_or_default();
        let provider_type = provider.config.provider_type;
        // What the path names is the addressed provider's; a route may lead to another one of the same type.
        if is_own && provider.other_setting(path, rest).is_some() {
            let message = "a route leads to a provider of another project or location than the request's path names: an owner must change the route";
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                Refused::RouteUnusable,
                message,
            ));
        }
        let Some(model) = model.filter(|_| path.names_model() || !is_own) else {
            return provider.url(allow_list::tail(provider_type, &path.canonical(rest)), query);
        };
        let written = match is_own {
            true => path.with_model(rest, model),
            false => path.for_model(model),
        };
        let written = written.ok_or_else(unusable_model)?;
        let tail = allow_list::tail(provider_type, &written);
        if is_own {
            return provider.url(tail, query);
        }
        // Versions of the addressed type mean nothing here, and those of this type the client can't have meant.
        let of = [self.provider_type, provider_type].map(describe);
        let query = parameters(query, |parameter| !of.iter().any(|of| of.is_own_parameter(parameter)));
        provider.url(tail, query.as_deref())
    }

    /// Which version of its API the provider is asked for, where it has several and the query says so.
    pub(crate) fn version_at(&self, provider: &Provider) -> Option<String> {
        let description = describe(self.provider_type);
        if description.own_query.is_empty() || !self.is_for(provider) {
            return None;
        }
        parameters(self.uri.query(), |parameter| description.is_own_parameter(parameter))
    }

    /// Whether the provider takes the path as the client wrote it.
    pub(crate) fn is_for(&self, provider: &Provider) -> bool {
        takes_paths_of(provider.config.provider_type, self.provider_type)
    }

    /// The request of one attempt.
    pub(crate) fn build(
        &mut self,
        url: Uri,
        body: Bytes,
        credential: &Outgoing,
        position: Position,
        ambient: &Ambient,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = url;
        *request.headers_mut() = self.headers(position).with_credential(credential);
        if let Some(signer) = credential.signer() {
            let now = ambient.now().to_offset_date_time().into();
            if let Err(error) = signer.sign(&mut request, &body, now) {
                tracing::warn!(%error, "a request could not be signed, so its provider will refuse it");
            }
        }
        request.map(|()| Full::new(body))
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

/// The parameters of a query that are to be there; `None` where none is.
pub(super) fn parameters(query: Option<&str>, is_wanted: impl Fn(&str) -> bool) -> Option<String> {
    let wanted: Vec<_> = query?.split('&').filter(|parameter| is_wanted(parameter)).collect();
    (!wanted.is_empty()).then(|| wanted.join("&"))
}
