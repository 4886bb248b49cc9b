//! Where the load goes, and the requests that it is made of.

use crate::args::Kind;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use std::net::SocketAddr;
use std::time::Duration;

/// One way to the provider.
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    /// What stands before the provider's own path.
    pub(crate) prefix: &'static str,
    /// Sent as `Authorization: Bearer`.
    pub(crate) token: String,
    /// The process whose CPU time and memory are looked at.
    pub(crate) measured: Option<u32>,
    /// The control plane's process, whose CPU time is shown apart.
    pub(crate) control: Option<u32>,
}

/// The kind of answer asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// One small JSON body.
    Json,
    /// Server-sent events.
    Stream {
        /// How many.
        events: u32,
        /// The pause between them.
        interval: Duration,
    },
}

impl Target {
    /// A chat completion of some 1.5 kB.
    pub(crate) fn request(&self, answer: Answer) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut body = serde_json::json!({
            "model": "bench",
            "messages": [
                {"role": "system", "content": "You are a bench. ".repeat(60)},
                {"role": "user", "content": "Say something of middling length. ".repeat(10)},
            ],
        });
        let mut request = Request::post(format!("{}/v1/chat/completions", self.prefix))
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.token))
            .header("user-agent", "lychgate-bench");
        match answer {
            Answer::Json => request = request.header("x-scripted", "bench"),
            Answer::Stream { events, interval } => {
                body["stream"] = true.into();
                body["stream_options"] = serde_json::json!({"include_usage": true});
                request = request
                    .header("x-scripted-events", events.to_string())
                    .header("x-scripted-interval-ms", interval.as_millis().to_string());
            }
        }
        Ok(request.body(Full::new(Bytes::from(body.to_string())))?)
    }
}
