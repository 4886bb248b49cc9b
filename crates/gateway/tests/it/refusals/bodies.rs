//! Request bodies that are too long, incomplete or not JSON.

use super::{is_anthropic, refused};
use crate::support::World;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::time::Duration;

#[tokio::test]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let world = World::with_options(|options| options.body_limit = 1000).await;
    let token = world.token.expose();
    let big = vec![b' '; 200_000];
    let mut client = world.post("/ai/anthropic/v1/messages", &big).await;
    assert!(refused(&mut client, 413).await.1.contains("1000"));

    let mut client = world.client().await;
    let head = format!(
        "POST /ai/openai/v1/responses HTTP/1.1\r\nhost: gw\r\nauthorization: Bearer {token}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    client.write(head.as_bytes()).await;
    for _ in 0..200 {
        client.write(b"3e8\r\n").await;
        client.write(&big[..1000]).await;
        client.write(b"\r\n").await;
    }
    client.write(b"0\r\n\r\n").await;
    refused(&mut client, 413).await;

    let mut client = world.client().await;
    let head = format!(
        "POST /ai/openai/v1/responses HTTP/1.1\r\nhost: gw\r\nauthorization: Bearer {token}\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n"
    );
    client.write(head.as_bytes()).await;
    refused(&mut client, 413).await;

    let fits = vec![b' '; 998];
    let mut client = world
        .post("/ai/anthropic/v1/messages", &[&fits[..], b"{}"].concat())
        .await;
    world.provider.next().await.json("200 OK", "", "{}").await;
    assert_eq!(client.answer().await.0.status, 200);
}

#[tokio::test]
async fn a_body_that_stalls_is_refused() {
    let world = World::with_options(|options| options.body_idle_timeout = Duration::from_millis(30)).await;
    let token = world.token.expose();
    let mut client = world.client().await;
    let head = format!(
        "POST /ai/openai/v1/responses HTTP/1.1\r\nhost: gw\r\nauthorization: Bearer {token}\r\ncontent-length: 10\r\n\r\n{{"
    );
    client.write(head.as_bytes()).await;
    let (head, _) = client.answer().await;
    assert_eq!(head.status, 408);
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_if_it_has_to_be_parsed() {
    let world = World::new().await;
    for body in [&b"{\"model\":"[..], b"[]", b"", b"\xff"] {
        let mut client = world.post("/ai/anthropic/v1/messages", body).await;
        let (_, text) = refused(&mut client, 400).await;
        assert!(is_anthropic(text.as_bytes()) && text.contains("JSON"), "{text}");
    }
    // A path that is not recorded is relayed without parsing.
    let mut client = world.post("/ai/openai/v1/moderations", b"{\"model\":").await;
    let mut exchange = world.provider.next().await;
    assert_eq!(exchange.body, b"{\"model\":");
    exchange.json("400 Bad Request", "", "{\"theirs\":1}").await;
    assert_eq!(client.answer().await.1, b"{\"theirs\":1}");
}

#[tokio::test]
async fn a_body_that_servers_read_differently_is_refused() {
    let world = World::new().await;
    for body in [
        &br#"{"model":"m","stream":true,"stream_options":{},"stream_options":{"include_usage":false}}"#[..],
        br#"{"model":"m","stream":true,"stream_options":{"include_usage":false,"include_usage":false}}"#,
        br#"{"model":"m","Stream":true}"#,
    ] {
        let mut client = world.post("/ai/openai/v1/chat/completions", body).await;
        let (_, text) = refused(&mut client, 400).await;
        assert!(text.contains("send it once"), "{text}");
    }
}

#[tokio::test]
async fn a_form_that_servers_read_differently_is_refused() {
    let world = World::new().await;
    let form = |boundary: &str, name: &str, model: &str| {
        format!("--{boundary}\r\ncontent-disposition: form-data; name={name}\r\n\r\n{model}\r\n--{boundary}--\r\n")
    };
    let typed = |boundary: &str| format!("content-type: multipart/form-data; boundary={boundary}\r\n");
    let good = form("x", "model", "m");
    for (content_type, body) in [
        // The first lines are no part of the form that the header speaks of.
        (typed("x"), [form("fake", "model", "cheap"), good.clone()].concat()),
        (typed("fake"), good.clone()),
        ([typed("fake"), typed("x")].concat(), good.clone()),
        (String::new(), good.clone()),
        (typed("x"), form("x", "Model", "m")),
        (
            typed("x"),
            [&good[..good.len() - "--\r\n".len()], &good["--x".len()..]].concat(),
        ),
        (typed("x"), [&good[..], &good].concat()),
    ] {
        let mut client = world
            .send("POST /ai/openai/v1/images/edits", &content_type, body.as_bytes())
            .await;
        let (head, text) = client.answer().await;
        assert_eq!(head.status, 400, "{body}: {}", String::from_utf8_lossy(&text));
    }
    let mut client = world
        .send("POST /ai/openai/v1/images/edits", &typed("x"), good.as_bytes())
        .await;
    let mut exchange = world.provider.next().await;
    assert_eq!(exchange.body, good.as_bytes());
    exchange.json("200 OK", "", "{}").await;
    assert_eq!(client.answer().await.0.status, 200);
}

#[tokio::test]
async fn a_compressed_body_that_can_not_be_read_is_refused() {
    let world = World::with_options(|options| options.body_limit = 2 << 20).await;
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let good = gzip(b"{}");
    let small = zstd::encode_all(&b"{}"[..], 3).unwrap();
    let frames = zstd::encode_all(&vec![b' '; 3 << 20][..], 3).unwrap();
    let noise: Vec<u8> = (0_u32..3 << 18)
        .flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    for (coding, body, status, says) in [
        ("compress", &good[..], 415, "zstd"),
        ("gzip, gzip, gzip, gzip, gzip", &good, 415, "at most four"),
        ("zstd", b"(zstd)", 400, "content-encoding"),
        ("gzip", b"{}", 400, "content-encoding"),
        ("br", b"{\"model\":\"m\"}", 400, "content-encoding"),
        ("gzip", &good[..good.len() - 1], 400, "cut"),
        ("zstd", &small[..small.len() - 1], 400, "cut"),
        ("gzip", &gzip(b"{"), 400, "JSON"),
        // Over the limit only once it is decoded, and over what so few bytes may become.
        ("gzip", &gzip(&noise), 413, "limit of 2097152 bytes"),
        ("zstd", &frames, 413, "hundred times"),
        (
            "gzip, zstd",
            &zstd::encode_all(&gzip(&vec![b' '; 64 << 20])[..], 3).unwrap(),
            413,
            "hundred times",
        ),
        // What comes out is nothing, and what is in between without end.
        (
            "gzip, zstd",
            &zstd::encode_all(&gzip(b"").repeat(1 << 20)[..], 3).unwrap(),
            413,
            "hundred times",
        ),
    ] {
        let extra = format!("content-encoding: {coding}\r\n");
        let mut client = world.send("POST /ai/anthropic/v1/messages", &extra, body).await;
        let (_, text) = refused(&mut client, status).await;
        assert!(is_anthropic(text.as_bytes()) && text.contains(says), "{coding}: {text}");
    }
    // What is not read goes on as it is.
    let mut client = world
        .send("POST /ai/openai/v1/moderations", "content-encoding: compress\r\n", b"x")
        .await;
    let mut exchange = world.provider.next().await;
    assert_eq!(
        (exchange.header("content-encoding"), &exchange.body[..]),
        (Some("compress"), &b"x"[..])
    );
    exchange.json("200 OK", "", "{}").await;
    assert_eq!(client.answer().await.0.status, 200);
}
