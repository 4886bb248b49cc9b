//! A small HTTP client for the control plane's API and for readiness.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// A connection; it closes when the sender is dropped.
pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("can't connect to {address}"))?;
    stream.set_nodelay(true).context("can't set TCP_NODELAY")?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.context("can't speak HTTP")?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Whether `/readyz` says that requests may come.
pub(crate) async fn is_ready(address: SocketAddr) -> bool {
    call(address, Method::GET, "/readyz", "", None).await.is_ok()
}

/// Calls the API; anything but success is an error.
pub(crate) async fn call(
    address: SocketAddr,
    method: Method,
    path: &str,
    token: &str,
    body: Option<serde_json::Value>,
) -> anyhow::Result<Bytes> {
    let request = Request::builder()
        .method(&method)
        .uri(path)
        .header("host", address.to_string())
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Full::new(body.map_or_else(Bytes::new, |body| body.to_string().into())))?;
    let response = connect(address)
        .await?
        .send_request(request)
        .await
        .with_context(|| format!("{method} {path}"))?;
    let status = response.status();
    let bytes = response
        .into_body()
        .collect()
        .await
        .with_context(|| format!("{method} {path}"))?
        .to_bytes();
    if !status.is_success() {
        bail!("{method} {path}: {status} {}", String::from_utf8_lossy(&bytes));
    }
    Ok(bytes)
}
