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
    /// The prefix of the provider's own path.
    pub(crate) prefix: &'static str,
    /// Sent as `Authorization: Bearer`.
    pub(crate) token: String,
    /// The process whose CPU time and memory are looked at.
    pub(crate) measured: Option<u32>,
    /// The control plane's process, whose CPU time is shown apart.
    pub(crate) control: Option<u32>,
}

/// How much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// A request of some 1.5 kB.
    Small,
    /// One of some 32 KiB.
    Long,
}

/// The kind of answer asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// One small JSON body.
    Json,
    /// Server-sent events.
    Stream {
        /// The bandwidth.
        events: u32,
        /// The pause between them.
        interval: Duration,
    },
}

impl Answer {
    /// How many events it has; none where it is no stream.
    pub(crate) const fn events(self) -> Option<u32> {
        match self {
            Self::Json => None,
            Self::Stream { events, .. } => Some(events),
        }
    }
}

impl Target {
    /// The provider itself.
    pub(crate) fn direct(provider: SocketAddr) -> Self {
        Self {
            kind: Kind::Direct,
            address: provider,
            prefix: "",
            token: "sk-bench".to_owned(),
            measured: None,
            control: None,
        }
    }

    /// A chat completion.
    pub(crate) fn request(&self, prompt: Prompt, answer: Answer) -> anyhow::Result<Request<Full<Bytes>>> {
        let times = match prompt {
            Prompt::Small => 10,
            Prompt::Long => 920,
        };
        let mut body = serde_json::json!({
            "model": "bench",
            "messages": [
                {"role": "system", "content": "You are a bench. ".repeat(60)},
                {"role": "user", "content": "Say something of middling length. ".repeat(times)},
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

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Body as _;

    #[test]
    fn a_long_prompt_is_of_32_kib() {
        let target = Target::direct(([127, 0, 0, 1], 1).into());
        let length = |prompt| target.request(prompt, Answer::Json).unwrap().body().size_hint().lower();
        assert!((1_200..1_800).contains(&length(Prompt::Small)));
        assert!((32_000..34_000).contains(&length(Prompt::Long)));
    }
}
