//! OpenAI Responses over a WebSocket: each `response.create` is a request whose events come as messages, one request after the other.
//! The scenarios are those of the same request over HTTP; one that is refused gets an error event.

use crate::body::ScriptBody;
use crate::families::Endpoint;
use crate::host::Place;
use crate::provider::Shared;
use crate::script::{Script, Step};
use crate::seen::{SeenRequest, Sent};
use crate::service::endpoint_script;
use crate::socket::Breaker;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

/// Answers a request for a WebSocket; `None` where it is none, or on another path.
pub(crate) fn answer(
    request: &mut Request<Incoming>,
    shared: &Arc<Shared>,
    breaker: &Breaker,
) -> Option<Response<ScriptBody>> {
    let accept = derive_accept_key(request.headers().get(SEC_WEBSOCKET_KEY)?.as_bytes());
    if Endpoint::at(request.uri().path()) != Some(Endpoint::Responses) {
        return None;
    }
    let upgrade = hyper::upgrade::on(&mut *request);
    let mut head = Request::new(()).into_parts().0;
    head.method = request.method().clone();
    head.uri = request.uri().clone();
    head.headers = request.headers().clone();
    shared.see(seen(&head, "GET", Bytes::new()));
    if let Err(refusal) = Endpoint::Responses.api().family().check_credential(&head.headers) {
        return Some(crate::service::response(refusal, breaker.clone(), Sent::default()));
    }
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        if let Ok(connection) = upgrade.await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, None).await;
            // A broken connection is the client's business, or was asked for.
            let _ = converse(socket, &head, &shared).await;
        }
    });
    let mut response = Response::new(ScriptBody::steps(Vec::new(), breaker.clone(), Sent::default()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(accept).ok()?);
    Some(response)
}

fn seen(head: &Parts, method: &str, body: Bytes) -> SeenRequest {
    SeenRequest {
        method: method.to_owned(),
        path: head.uri.to_string(),
        headers: head.headers.clone(),
        body,
        sent: Sent::default(),
    }
}

async fn converse(mut socket: WebSocket, head: &Parts, shared: &Shared) -> Result<(), Error> {
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else { continue };
        shared.see(seen(head, "WEBSOCKET", Bytes::copy_from_slice(text.as_bytes())));
        let asked: Value = serde_json::from_str(&text).unwrap_or_default();
        if asked["type"] == "response.create" && !perform(&mut socket, head, shared, asked).await? {
            // Dropped without a word.
            return Ok(());
        }
    }
    Ok(())
}

/// Answers one request; false where the connection is to break.
async fn perform(socket: &mut WebSocket, head: &Parts, shared: &Shared, mut asked: Value) -> Result<bool, Error> {
    let lane = asked.get("stream_id").cloned();
    let is_generated = asked["generate"] != false;
    asked["stream"] = true.into();
    let script = endpoint_script(
        Endpoint::Responses,
        &Place::of(head.uri.path()),
        head,
        asked.to_string().as_bytes(),
        shared,
    );
    tokio::time::sleep(script.delay).await;
    if script.status != 200 {
        say(socket, refusal(&script), lane.as_ref()).await?;
        return Ok(true);
    }
    let mut came = String::new();
    for step in script.steps {
        match step {
            Step::Send(bytes) => came.push_str(&String::from_utf8_lossy(&bytes)),
            Step::Pause(pause) => tokio::time::sleep(pause).await,
            Step::Wait(gate) => gate.opened().await,
            Step::Close | Step::Reset => return Ok(false),
        }
        while let Some(end) = came.find("\n\n") {
            let event: String = came.drain(..end + 2).collect();
            let data = event.lines().find_map(|line| line.strip_prefix("data: "));
            let Some(Ok(event)) = data.map(serde_json::from_str::<Value>) else {
                continue;
            };
            match is_generated {
                true => say(socket, event, lane.as_ref()).await?,
                false => say_ungenerated(socket, event, lane.as_ref()).await?,
            }
        }
    }
    Ok(true)
}

async fn say(socket: &mut WebSocket, mut event: Value, lane: Option<&Value>) -> Result<(), Error> {
    if let Some(lane) = lane {
        event["stream_id"] = lane.clone();
    }
    socket.send(Message::text(event.to_string())).await
}

/// Of a request that only warms up, nothing comes but its beginning and its end.
async fn say_ungenerated(socket: &mut WebSocket, mut event: Value, lane: Option<&Value>) -> Result<(), Error> {
    if event["type"] == "response.completed" {
        event["response"]["output"] = json!([]);
        let usage = &mut event["response"]["usage"];
        usage["output_tokens"] = 0.into();
        usage["output_tokens_details"] = json!({ "reasoning_tokens": 0 });
        usage["total_tokens"] = usage["input_tokens"].clone();
    } else if event["type"] != "response.created" {
        return Ok(());
    }
    say(socket, event, lane).await
}

/// A refusal as an event.
fn refusal(script: &Script) -> Value {
    let body = script.bytes();
    let error = serde_json::from_slice::<Value>(&body).map(|mut body| body["error"].take());
    let error = error.unwrap_or_else(|_| json!({ "message": String::from_utf8_lossy(&body) }));
    let headers: serde_json::Map<_, _> = script
        .headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
        .collect();
    json!({ "type": "error", "status": script.status, "error": error, "headers": headers })
}
