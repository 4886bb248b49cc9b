//! Requests that are signed with keys of AWS (SigV4), by the vendor's crate.
//!
//! Not here: which keys are such ones (`routing::provider`), and the signatures of clients, which are no tokens
//! (`auth::signatures`).

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningError, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_sigv4::sign::v4::signing_params::BuildError;
use aws_smithy_runtime_api::client::identity::Identity;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request};
use lychgate_types::secret::ProviderSecret;
use lychgate_wire::provider::AwsKey;
use std::fmt;
use std::time::SystemTime;

/// Why a request could not be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSigned {
    #[error(transparent)]
    Parameters(#[from] BuildError),
    #[error(transparent)]
    Request(#[from] SigningError),
}

/// Signs requests to one service in one region with one key.
pub(crate) struct Signer {
    hint: String,
    identity: Identity,
    region: String,
    service: &'static str,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

impl Signer {
    pub(crate) fn new(service: &'static str, region: &str, key: &AwsKey<'_>) -> Self {
        let session = key.session.map(str::to_owned);
        Self {
            hint: ProviderSecret::new(key.id.to_owned()).hint(),
            identity: Credentials::new(key.id, key.secret, session, None, "lychgate").into(),
            region: region.to_owned(),
            service,
        }
    }

    /// First and last characters of the key's id.
    pub(crate) fn hint(&self) -> &str {
        &self.hint
    }

    /// Signs a request in which nothing changes any more. Only what AWS asks for is signed (host, content type, `x-amz…`), so that
    /// no proxy on the way can break the signature by what it does to other headers.
    ///
    /// # Errors
    /// It can't be signed.
    pub(crate) fn sign(&self, request: &mut Request<()>, body: &[u8], now: SystemTime) -> Result<(), NotSigned> {
        let is_signed = |name: &HeaderName| *name == CONTENT_TYPE || name.as_str().starts_with("x-amz");
        // AWS refuses what should be signed and is not, and only text can be.
        let unfit = request
            .headers()
            .iter()
            .filter(|(name, value)| is_signed(name) && value.to_str().is_err());
        let unfit: Vec<_> = unfit.map(|(name, _)| name.clone()).collect();
        for name in unfit {
            request.headers_mut().remove(name);
        }
        let headers = request.headers().iter().filter(|(name, _)| is_signed(name));
        let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let (method, uri) = (request.method().as_str(), request.uri().to_string());
        let signable = SignableRequest::new(method, uri, headers, SignableBody::Bytes(body))?;
        // By default a path is escaped once more for the signature, as all services but S3 want it.
        let params = SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name(self.service)
            .time(now)
            .settings(SigningSettings::default())
            .build()?;
        let (instructions, _) = sign(signable, &params.into())?.into_parts();
        let (made, _) = instructions.into_parts();
        for header in made {
            // The crate makes nothing else.
            let name = HeaderName::from_static(header.name());
            let Ok(mut value) = HeaderValue::from_str(header.value()) else {
                continue;
            };
            value.set_sensitive(header.sensitive() || name == AUTHORIZATION);
            request.headers_mut().insert(name, value);
        }
        Ok(())
    }
}
