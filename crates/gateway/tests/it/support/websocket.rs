//! Both ends of a WebSocket that is relayed.

use super::client::Client;
use super::provider::Exchange;
use super::{Answer, World};
use futures_util::{SinkExt as _, StreamExt as _};
use lychgate_types::secret::UserTokenSecret;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

pub(crate) const PATH: &str = "/ai/openai/v1/responses";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// One end.
pub(crate) struct Socket(pub(crate) WebSocketStream<TcpStream>);

/// The lines by which a client asks for a WebSocket.
pub(crate) fn asking(token: &UserTokenSecret) -> String {
    format!(
        "authorization: Bearer {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: {KEY}\r\nsec-websocket-extensions: permessage-deflate\r\nuser-agent: codex_cli_rs/1.0\r\n",
        token.expose()
    )
}

impl World {
    /// A client that asks for a WebSocket.
    pub(crate) async fn ask_websocket(&self) -> Client {
        let mut client = self.client().await;
        client.send(&format!("GET {PATH}"), &asking(&self.token), b"").await;
        client
    }

    /// An open one: the client's end, and the provider's.
    pub(crate) async fn websocket(&self) -> (Socket, Socket) {
        let mut client = self.ask_websocket().await;
        let provider = self.provider.next().await.accept("").await;
        let head = client.head().await;
        (Socket::of_client(client, &head).await, provider)
    }
}

impl Exchange {
    /// Opens the WebSocket that is asked for; `headers` are whole lines.
    pub(crate) async fn accept(mut self, headers: &str) -> Socket {
        let key = self.header("sec-websocket-key").unwrap();
        let accept = derive_accept_key(key.as_bytes());
        self.raw(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-accept: {accept}\r\n{headers}\r\n"
            )
            .as_bytes(),
        )
        .await;
        Socket(WebSocketStream::from_raw_socket(self.into_socket(), Role::Server, None).await)
    }
}

impl Socket {
    /// Behind the head that says that it is open.
    pub(crate) async fn of_client(client: Client, head: &Answer) -> Self {
        assert_eq!(head.status, 101);
        assert_eq!(
            head.header("sec-websocket-accept"),
            Some(&*derive_accept_key(KEY.as_bytes()))
        );
        assert_eq!(head.header("sec-websocket-extensions"), None);
        let (socket, pending) = client.into_parts();
        Self(WebSocketStream::from_partially_read(socket, pending, Role::Client, None).await)
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next message but pings.
    pub(crate) async fn next(&mut self) -> Message {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    pub(crate) async fn text(&mut self) -> String {
        match self.next().await {
            Message::Text(text) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// The next message, an error of the gateway: its status and its code.
    pub(crate) async fn error(&mut self) -> Value {
        let event: Value = serde_json::from_str(&self.text().await).unwrap();
        assert_eq!(event["type"], "error", "{event}");
        event
    }

    /// The next message is the end: its code and its reason.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        match self.next().await {
            Message::Close(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
            Message::Close(None) => (1005, String::new()),
            other => panic!("{other:?}"),
        }
    }
}
