//! Why no head of an answer came.

use crate::upstream::private_address::{PrivateAddress, ResolveError};
use std::error::Error;
use std::io;

type BoxError = Box<dyn Error + Send + Sync>;

/// Why no head came. Its `Display` is safe to show: it names neither addresses nor the system's words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The address may not be gone to.
    #[error(transparent)]
    Private(#[from] PrivateAddress),
    /// It took longer than the policy gives until a connection could be used.
    #[error("connecting took too long")]
    ConnectTimeout,
    /// No connection could be made.
    #[error("{}", unconnected(.0.as_ref()))]
    Connect(#[source] BoxError),
    /// The outbound proxy did not make the way free.
    #[error("the outbound proxy does not connect: {}", through_proxy(.0.as_ref()))]
    Proxy(#[source] BoxError),
    /// The provider's certificate, or its TLS.
    #[error("{}", handshake(.0))]
    Tls(#[source] io::Error),
    /// The connection broke after the request was, or may have been, sent.
    #[error("{}", broken(.0))]
    Broken(#[source] hyper::Error),
}

impl SendError {
    /// Whether the provider said that it did not begin with the request: it may be sent once more, whatever it asks for.
    pub(super) fn is_unprocessed(error: &hyper::Error) -> bool {
        causes(error)
            .filter_map(|cause| cause.downcast_ref::<h2::Error>())
            .any(|error| {
                let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
                let going_away = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
                error.is_remote() && (refused || going_away)
            })
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

fn unconnected(error: &(dyn Error + Send + Sync + 'static)) -> String {
    let resolved = causes(error).find_map(|cause| cause.downcast_ref::<ResolveError>());
    match resolved {
        Some(resolve) => resolve.to_string(),
        None => io_words(error).unwrap_or("no connection could be made").to_owned(),
    }
}

fn through_proxy(error: &(dyn Error + Send + Sync + 'static)) -> &'static str {
    if let Some(words) = io_words(error) {
        return words;
    }
    // Its type can't be named; its words are fixed and tell what is wrong with the proxy, not with the provider.
    let text = error.to_string();
    if text.contains("authorization required") {
        "it asks for another user or password"
    } else if text.contains("failed to create") {
        "it can't be reached"
    } else {
        "it refused"
    }
}

fn handshake(error: &io::Error) -> String {
    match tls_error(error) {
        Some(tls) => format!("the TLS handshake failed: {tls}"),
        None => "the TLS handshake failed".to_owned(),
    }
}

fn broken(error: &hyper::Error) -> &'static str {
    if error.is_parse() {
        return "its answer is not valid HTTP";
    }
    let reason = causes(error).find_map(|cause| cause.downcast_ref::<h2::Error>()?.reason());
    if reason == Some(h2::Reason::REFUSED_STREAM) {
        return "it refused another request on its connections";
    }
    io_words(error).unwrap_or("the connection broke before an answer came")
}

fn io_words(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let kinds = causes(error).filter_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind()));
    kinds.into_iter().find_map(|kind| match kind {
        io::ErrorKind::ConnectionRefused => Some("connection refused"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Some("connection reset"),
        io::ErrorKind::TimedOut => Some("connecting took too long"),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Some("its network can't be reached"),
        _ => None,
    })
}

/// The TLS error inside an I/O error. They may be wrapped more than once, and `source` passes over what is wrapped.
fn tls_error(io: &io::Error) -> Option<&rustls::Error> {
    let inner = io.get_ref()?;
    inner
        .downcast_ref::<rustls::Error>()
        .or_else(|| tls_error(inner.downcast_ref::<io::Error>()?))
}
