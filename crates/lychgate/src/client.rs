//! The API's client: sends a request with the user's token, returns the JSON response or the problem in words.
//!
//! Of several servers, the first that takes the connection is asked; a request that changes nothing also goes on to the next where no
//! answer came, or 503. It follows no redirect (the token would go along) and reads at most [`ANSWER_LIMIT`].

pub(crate) mod credentials;
mod idempotency;
mod probe;
mod problem;

pub(crate) use probe::probe;
pub(crate) use problem::CallError;
use problem::Problem;

use crate::failure::Failure;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use idempotency::IdempotencyKey;
use lychgate_telemetry::error::chain;
use lychgate_types::Ambient;
use lychgate_types::secret::UserTokenSecret;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use url::Url;

const ANSWER_LIMIT: usize = 64 * 1024 * 1024;
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// What a server asks for (`retry-after`) when it can't answer now.
const RETRY_DELAY: Duration = Duration::from_secs(1);

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client for one server and one token.
#[derive(Debug)]
pub(crate) struct ApiClient {
    http: HttpClient,
    /// At least one.
    bases: Vec<ServerUrl>,
    /// Which of them answered last.
    current: AtomicUsize,
    authorization: HeaderValue,
}

impl ApiClient {
    /// A client for the servers at these addresses (see [`server_url`]), which are control planes of one deployment.
    pub(crate) fn new(bases: Vec<ServerUrl>, token: &UserTokenSecret) -> Result<Self, Failure> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(Failure::failed)?;
        authorization.set_sensitive(true);
        Ok(Self {
            http: http_client(&bases)?,
            bases,
            current: AtomicUsize::new(0),
            authorization,
        })
    }

    /// `GET`. The path is what follows `/api/v1/`.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, CallError> {
        self.call(Method::GET, path, None).await
    }

    /// `GET` with a query; parts without a value are left out.
    pub(crate) async fn get_with(&self, path: &str, query: &[(&str, Option<String>)]) -> Result<Value, CallError> {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(query.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))));
        match text.finish() {
            query if query.is_empty() => self.get(path).await,
            query => self.get(&format!("{path}?{query}")).await,
        }
    }

    /// `POST` with a JSON body.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `POST` whose response shows a secret once. If the response may have been lost, the request is sent once more under the same
    /// `Idempotency-Key`, which gets the same secret.
    pub(crate) async fn post_for_secret(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        let key = IdempotencyKey::generate(&Ambient::system())?;
        match self.send(Method::POST, path, Some(body), Some(&key)).await {
            Err(error) if error.may_succeed_later() => {
                tokio::time::sleep(RETRY_DELAY).await;
                let again = self.send(Method::POST, path, Some(body), Some(&key)).await;
                again.map_err(CallError::after_a_lost_response)
            }
            responded => responded,
        }
    }

    /// `POST` without a body.
    pub(crate) async fn post_empty(&self, path: &str) -> Result<Value, CallError> {
        self.call(Method::POST, path, None).await
    }

    /// `PATCH` with a JSON body.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// `DELETE`.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value, CallError> {
        self.call(Method::DELETE, path, None).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, CallError> {
        let changes = method != Method::GET;
        let responded = self.send(method, path, body, None).await;
        responded.map_err(|error| if changes { error.of_a_change() } else { error })
    }

    /// Asks one server after the other, beginning with the one that answered last. A request that changes something is not sent again
    /// where it may have arrived.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&IdempotencyKey>,
    ) -> Result<Value, CallError> {
        let first = self.current.load(Ordering::Relaxed);
        let mut failed = None;
        for at in (0..self.bases.len()).map(|turn| (first + turn) % self.bases.len()) {
            let answer = self.send_to(&self.bases[at], method.clone(), path, body, key).await;
            match answer {
                Err(error) if error.not_sent() || (method == Method::GET && error.may_succeed_later()) => {
                    failed = failed.or(Some(error));
                }
                answer => {
                    self.current.store(at, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(failed.unwrap_or_else(|| CallError::Unusable("no server URL".to_owned())))
    }

    async fn send_to(
        &self,
        base: &ServerUrl,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&IdempotencyKey>,
    ) -> Result<Value, CallError> {
        let url = format!("{base}/api/v1/{path}");
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("lychgate/", env!("CARGO_PKG_VERSION")));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(key) = key {
            request = request.header(idempotency::HEADER, key.value());
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|why| CallError::Unusable(why.to_string()))?;
        let exchange = async {
            let answer = self.http.request(request).await.map_err(|why| failed(base, &why))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_LIMIT)
                .collect()
                .await
                .map_err(|why| lost(base, why))?;
            Ok((head.status, body.to_bytes()))
        };
        let (status, body) = tokio::time::timeout(TIME_LIMIT, exchange)
            .await
            .map_err(|_| lost(base, format!("no response within {} seconds", TIME_LIMIT.as_secs())))??;
        read(base, status, &body)
    }
}

fn read(base: &ServerUrl, status: StatusCode, body: &[u8]) -> Result<Value, CallError> {
    if status.is_success() {
        let body = if body.is_empty() { b"null" } else { body };
        return serde_json::from_slice(body).map_err(|_| foreign(base, status));
    }
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => Err(CallError::Problem(Box::new(problem))),
        Err(_) => Err(foreign(base, status)),
    }
}

fn failed(base: &ServerUrl, why: &hyper_util::client::legacy::Error) -> CallError {
    let reason = reason(why);
    // What rustls says of an answer in clear text.
    if reason.contains("InvalidContentType") {
        let text =
            format!("{base} does not speak TLS on this port: use http://, or the port of the TLS proxy in front of it");
        return CallError::Unreachable(text);
    }
    if why.is_connect() {
        let text = format!(
            "can't connect to {base}: {reason}. Check the address, and that `lychgate server` is running there"
        );
        return CallError::Unreachable(text);
    }
    lost(base, reason)
}

fn lost(base: &ServerUrl, why: impl std::fmt::Display) -> CallError {
    CallError::Lost(format!("the request to {base} failed: {why}"))
}

fn foreign(base: &ServerUrl, status: StatusCode) -> CallError {
    let text = format!(
        "{base} responded with {status}, but not like a Lychgate server: check the address and any proxy in front of it"
    );
    match status {
        // Of a proxy, whose connection to the server may have broken after the request was sent.
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            CallError::Lost(text)
        }
        _ => CallError::Unusable(text),
    }
}

/// A server's address: `http` or `https`, and nothing after the path. Shown without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUrl(Url);

impl ServerUrl {
    /// The path, `/` where there is none.
    pub(crate) fn path(&self) -> &str {
        self.0.path()
    }
}

impl std::fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// Reads a server's address.
pub(crate) fn server_url(text: &str) -> Result<ServerUrl, String> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err("must start with http:// or https://, for example http://127.0.0.1:8080".to_owned());
    }
    let url = Url::parse(text).map_err(|why| format!("not a URL ({why}): write for example http://127.0.0.1:8080"))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("must have no user name, password, query or fragment".to_owned());
    }
    Ok(ServerUrl(url))
}

/// Why a request came to nothing: the causes, as the error itself says only that it did.
fn reason(error: &hyper_util::client::legacy::Error) -> String {
    chain(std::error::Error::source(error).unwrap_or(error))
}

fn http_client(bases: &[ServerUrl]) -> Result<HttpClient, Failure> {
    let tls = if bases.iter().any(|base| base.0.scheme() == "https") {
        with_system_roots()?
    } else {
        without_roots()?
    };
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(Duration::from_secs(10)));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn with_system_roots() -> Result<rustls::ClientConfig, Failure> {
    use hyper_rustls::ConfigBuilderExt;
    let builder = rustls::ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(Failure::failed)?.with_native_roots();
    let builder =
        builder.map_err(|why| Failure::Failed(format!("can't load this machine's certificate authorities: {why}")))?;
    Ok(builder.with_no_client_auth())
}

/// For plain http: a machine without certificate authorities can still use it.
fn without_roots() -> Result<rustls::ClientConfig, Failure> {
    let builder = rustls::ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    Ok(builder
        .map_err(Failure::failed)?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_addresses() {
        assert_eq!(
            server_url("http://127.0.0.1:8080").unwrap().to_string(),
            "http://127.0.0.1:8080"
        );
        assert_eq!(
            server_url("https://h/lychgate/").unwrap().to_string(),
            "https://h/lychgate"
        );
        for bad in [
            "",
            "127.0.0.1:8080",
            "localhost:8080",
            "ftp://h",
            "http://",
            "http://u:p@h",
            "http://h?x",
            "http://h#x",
        ] {
            assert!(server_url(bad).is_err(), "{bad:?}");
        }
    }
}
