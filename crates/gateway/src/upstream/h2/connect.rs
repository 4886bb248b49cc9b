//! Speaks HTTP/2 on a new connection, and drives it to its end.

use super::settings::SettingsStream;
use super::{H2Connection, H2Connections, StreamPermit};
use crate::upstream::error::SendError;
use crate::upstream::stream::Stream;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// While requests are waiting for it, a peer that has vanished is detected by pings.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Flow-control windows of one answer and of a whole connection: a client that reads slowly holds up its own answer, and not
/// the others.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 32 << 20;
/// Longest wait for the peer's settings before another connection may be made.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(2);

/// Permission to make one more connection; counts as one being made until its settings are known or it has failed.
pub(crate) struct DialPermit(pub(super) Arc<H2Connections>);

impl DialPermit {
    /// Speaks HTTP/2 on a new connection; the caller gets the first stream.
    pub(crate) async fn open(self, stream: Stream, expires: Instant) -> Result<StreamPermit, SendError> {
        let connections = Arc::clone(&self.0);
        let settings = Arc::new(Notify::new());
        let io = TokioIo::new(SettingsStream::new(stream, Arc::clone(&settings)));
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(1)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(io)
            .await
            .map_err(SendError::Broken)?;
        let limit = Arc::new(AtomicUsize::new(1));
        tokio::spawn(drive(connection, settings, Arc::clone(&limit), self));
        let connection = Arc::new(H2Connection {
            sender,
            active: AtomicUsize::new(0),
            limit,
            expires,
            idle_sweeps: AtomicUsize::new(0),
        });
        let permit = connections.permit(&connection);
        connections.lock().connections.push(connection);
        Ok(permit)
    }
}

impl Drop for DialPermit {
    fn drop(&mut self) {
        self.0.lock().dialing -= 1;
        self.0.wake_all();
    }
}

/// Drives a connection to its end and keeps its limit of streams up to date.
async fn drive<T>(
    connection: http2::Connection<T, Full<Bytes>, TokioExecutor>,
    settings: Arc<Notify>,
    limit: Arc<AtomicUsize>,
    permit: DialPermit,
) where
    T: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let connections = Arc::downgrade(&permit.0);
    let mut permit = Some(permit);
    let mut connection = std::pin::pin!(connection);
    let mut settings = std::pin::pin!(tokio::time::timeout(SETTINGS_TIMEOUT, settings.notified()));
    let driving = std::future::poll_fn(|cx| {
        let ended = connection.as_mut().poll(cx);
        limit.store(connection.current_max_send_streams(), Ordering::Release);
        if permit.is_some() && settings.as_mut().poll(cx).is_ready() {
            // Once more, for what came with the settings.
            limit.store(connection.current_max_send_streams(), Ordering::Release);
            permit = None;
        }
        ended
    });
    if let Err(error) = driving.await {
        tracing::debug!(%error, "an HTTP/2 connection to a provider broke");
    }
    if let Some(connections) = connections.upgrade() {
        connections.wake_all();
    }
}
