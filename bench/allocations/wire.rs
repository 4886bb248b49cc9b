//! Both ends of the wire, on plain sockets and fixed buffers.

use anyhow::{Context as _, bail};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

const BUFFER: usize = 64 << 10;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 326\r\nx-request-id: req_bench\r\n\r\n{\"id\":\"chatcmpl-BenchBenchBenchBenchBenchBench0\",\"object\":\"chat.completion\",\"created\":1764000000,\"model\":\"gpt-5.4-mini\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello! How are you today?\",\"refusal\":null},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":3,\"total_tokens\":13,\"x\":0}}";

/// A provider that gives everybody the same answer.
pub(crate) fn provider() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("can't listen")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            std::thread::spawn(move || answer(socket));
        }
    });
    Ok(address)
}

fn answer(mut socket: TcpStream) {
    // The client hangs up.
    let _ = socket.set_nodelay(true);
    let mut buffer = vec![0; BUFFER];
    while message(&mut socket, &mut buffer).is_ok() && socket.write_all(ANSWER).is_ok() {}
}

/// A client that asks the same again and again.
pub(crate) struct Client {
    socket: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, token: &str) -> anyhow::Result<Self> {
        let prompt = "Say something of middling length. ".repeat(40);
        let body = serde_json::json!({"model": "bench", "messages": [{"role": "user", "content": prompt}]}).to_string();
        let request = format!(
            "POST /ai/openai/v1/chat/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             authorization: Bearer {token}\r\nuser-agent: lychgate-bench\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let socket = TcpStream::connect(address).context("can't connect")?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            request: request.into_bytes(),
            buffer: vec![0; BUFFER],
        })
    }

    pub(crate) fn ask(&mut self) -> anyhow::Result<()> {
        self.socket.write_all(&self.request)?;
        let length = message(&mut self.socket, &mut self.buffer)?;
        let answer = self.buffer.get(..length).unwrap_or_default();
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            bail!("refused: {}", String::from_utf8_lossy(answer));
        }
        Ok(())
    }
}

/// Reads one message, head and body, by its `content-length`; answers its length.
fn message(socket: &mut TcpStream, buffer: &mut [u8]) -> anyhow::Result<usize> {
    let mut have = 0;
    loop {
        let read = socket.read(buffer.get_mut(have..).unwrap_or_default())?;
        if read == 0 {
            bail!("the connection was closed");
        }
        have += read;
        let got = buffer.get(..have).unwrap_or_default();
        if let Some(length) = length(got)
            && have >= length
        {
            return Ok(have);
        }
    }
}

/// How long a message is whose head has come.
fn length(got: &[u8]) -> Option<usize> {
    let head = got.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(got.get(..head)?).ok()?;
    let body = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    Some(head + body.unwrap_or(0))
}
