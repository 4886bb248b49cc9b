//! Why a request got no answer.

use super::private_address::PrivateAddress;
use super::resolver::ResolveError;
use std::error::Error;
use std::io;

type BoxError = Box<dyn Error + Send + Sync>;

/// Why no head of an answer arrived. Its `Display` is safe to show to clients: it contains no addresses and no system messages.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// Connecting to this address is not allowed.
    #[error(transparent)]
    Private(#[from] PrivateAddress),
    /// Getting a connection took longer than the policy allows.
    #[error("connecting took too long")]
    ConnectTimeout,
    /// No connection could be made.
    #[error("{}", connect_message(.0.as_ref()))]
    Connect(#[source] BoxError),
    /// The outbound proxy did not connect.
    #[error("the outbound proxy failed to connect: {}", proxy_message(.0.as_ref()))]
    Proxy(#[source] BoxError),
    /// The TLS handshake failed, on the provider's certificate for example.
    #[error("{}", tls_message(.0))]
    Tls(#[source] io::Error),
    /// The connection broke after the request was, or may have been, sent.
    #[error("{}", broken_message(.0))]
    Broken(#[source] hyper::Error),
}

impl SendError {
    /// Whether the connection broke after the request was, or may have been, sent.
    pub(crate) fn is_break(&self) -> bool {
        matches!(self, Self::Broken(_)) && !self.is_no_http()
    }

    /// Whether the provider may have got the request.
    pub(crate) fn may_have_been_sent(&self) -> bool {
        matches!(self, Self::Broken(_))
    }

    /// Whether what came is no answer that can be read: asking again would bring the same.
    pub(crate) fn is_no_http(&self) -> bool {
        matches!(self, Self::Broken(error) if error.is_parse())
    }

    /// Whether the provider said that it has not begun to process the request: then it may be sent again, whatever it is.
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

fn connect_message(error: &(dyn Error + Send + Sync + 'static)) -> String {
    let resolved = causes(error).find_map(|cause| cause.downcast_ref::<ResolveError>());
    match resolved {
        Some(resolve) => resolve.to_string(),
        None => io_message(error).unwrap_or("no connection could be made").to_owned(),
    }
}

fn proxy_message(error: &(dyn Error + Send + Sync + 'static)) -> &'static str {
    if let Some(message) = io_message(error) {
        return message;
    }
    // Its type is private; its messages are fixed, and are about the proxy, not the provider.
    let text = error.to_string();
    if text.contains("authorization required") {
        "it requires a different user or password"
    } else if text.contains("failed to create") {
        "it can't be reached"
    } else {
        "it refused the connection"
    }
}

fn tls_message(error: &io::Error) -> String {
    match tls_error(error) {
        Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => {
            "it does not speak TLS on this port; if that is intended, its base URL begins with http://".to_owned()
        }
        Some(tls) => format!("the TLS handshake failed: {tls}"),
        None => "the TLS handshake failed".to_owned(),
    }
}

fn broken_message(error: &hyper::Error) -> &'static str {
    if error.is_parse_too_large() {
        return "the head of its answer is too large, or has too many fields";
    }
    if error.is_parse() {
        return "its answer is not valid HTTP";
    }
    let reason = causes(error).find_map(|cause| cause.downcast_ref::<h2::Error>()?.reason());
    if reason == Some(h2::Reason::REFUSED_STREAM) {
        return "it refused the stream on every connection";
    }
    io_message(error).unwrap_or("the connection broke before an answer arrived")
}

fn io_message(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let kinds = causes(error).filter_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind()));
    kinds.into_iter().find_map(|kind| match kind {
        io::ErrorKind::ConnectionRefused => Some("connection refused"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Some("connection reset"),
        io::ErrorKind::TimedOut => Some("connecting took too long"),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => Some("its network can't be reached"),
        _ => None,
    })
}

/// The TLS error inside an I/O error. It may be wrapped more than once, and `source` skips what is wrapped.
fn tls_error(io: &io::Error) -> Option<&rustls::Error> {
    let inner = io.get_ref()?;
    inner
        .downcast_ref::<rustls::Error>()
        .or_else(|| tls_error(inner.downcast_ref::<io::Error>()?))
}
