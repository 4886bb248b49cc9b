//! Responses over WebSockets.

mod books;
mod bounds;
mod ends;
mod errors;
mod messages;
mod opening;
mod steers;

use crate::support::World;
use crate::support::websocket::Socket;
use lychgate_types::interception::InterceptionRecord;

/// A message that asks for a response.
fn create(members: &str) -> String {
    format!(r#"{{"type":"response.create","model":"gpt-x","input":"Hi"{members}}}"#)
}

fn created(id: &str, members: &str) -> String {
    format!(r#"{{"type":"response.created"{members},"response":{{"id":"{id}","status":"in_progress"}}}}"#)
}

fn delta(members: &str) -> String {
    format!(r#"{{"type":"response.output_text.delta"{members},"output_index":0,"delta":"Hello there"}}"#)
}

/// An error, without a word about what it is the answer to.
const ERROR: &str = r#"{"type":"error","status":400,"error":{"type":"invalid_request_error","message":"what?"}}"#;

fn completed(id: &str, output: u32, members: &str) -> String {
    format!(
        r#"{{"type":"response.completed"{members},"response":{{"id":"{id}","status":"completed","model":"gpt-x-1","output":[],"usage":{{"input_tokens":7,"output_tokens":{output}}}}}}}"#
    )
}

/// Relays a message of the client, unchanged.
async fn up(client: &mut Socket, provider: &mut Socket, text: &str) {
    client.say(text).await;
    assert_eq!(provider.text().await, text);
}

/// Relays an event of the provider, unchanged.
async fn down(client: &mut Socket, provider: &mut Socket, text: &str) {
    provider.say(text).await;
    assert_eq!(client.text().await, text);
}

/// Makes one response from beginning to end.
async fn respond(client: &mut Socket, provider: &mut Socket, id: &str) {
    up(client, provider, &create("")).await;
    for event in [created(id, ""), delta(""), completed(id, 5, "")] {
        down(client, provider, &event).await;
    }
}

/// Output tokens, and whether they are an estimate.
fn output(record: &InterceptionRecord) -> (i64, bool) {
    let usage = &record.token_usages[0];
    (usage.output_tokens, usage.estimated)
}

/// Waits until the gateway knows what the control plane has said.
async fn in_force(world: &World) {
    world.reconfigure().await;
}
