use super::{MESSAGES, REQUEST, answer, eager, key, target, with_fallback};
use crate::support::{CENTRAL_KEY, World};
use std::collections::HashMap;

#[tokio::test]
async fn a_fallback_gets_its_own_model_key_and_path_and_all_other_bytes() {
    let (world, second) = with_fallback(eager).await;
    let body = b"{ \"max_tokens\":1.0,\"model\" :\"m-1\" , \"x\":{\"model\":\"m-1\"}}";
    let mut client = world.send(&format!("POST {MESSAGES}?a=b"), "", body).await;
    for _ in 0..3 {
        let exchange = world.provider.next().await;
        assert_eq!((key(&exchange).as_str(), &exchange.body[..]), (CENTRAL_KEY, &body[..]));
        answer(exchange, "529 Overloaded", "").await;
    }
    let exchange = second.next().await;
    assert_eq!(key(&exchange), "sk-second-0123456789");
    assert_eq!(exchange.line, "POST /other/v1/messages?a=b HTTP/1.1");
    assert_eq!(
        exchange.body,
        b"{ \"max_tokens\":1.0,\"model\" :\"n\" , \"x\":{\"model\":\"m-1\"}}"
    );
    assert!(!exchange.headers.iter().any(|header| header.contains(CENTRAL_KEY)));
    answer(exchange, "200 OK", "").await;
    assert_eq!(client.answer().await.0.status, 200);
    let record = world.control.one_record().await;
    assert_eq!(
        (record.provider.as_str(), record.attempts, record.model.as_str()),
        ("second", 4, "m-1")
    );
    assert_eq!(record.served_model.as_deref(), Some("n"));
    assert_eq!(record.credential_hint, "sk-s…6789");
    assert_eq!(record.token_usages.len(), 1);
}

#[tokio::test]
async fn a_long_wait_or_a_refused_key_fails_over_at_once() {
    let (world, second) = with_fallback(eager).await;
    for (status, headers) in [
        ("429 Too Many Requests", "retry-after: 3600\r\n"),
        ("401 Unauthorized", ""),
    ] {
        let mut client = world.post(MESSAGES, REQUEST).await;
        answer(world.provider.next().await, status, headers).await;
        answer(second.next().await, "200 OK", "").await;
        assert_eq!(client.answer().await.0.status, 200);
    }
    // A bad request does not fail over.
    let mut client = world.post(MESSAGES, REQUEST).await;
    answer(world.provider.next().await, "400 Bad Request", "").await;
    assert_eq!(client.answer().await.0.status, 400);
}

#[tokio::test]
async fn after_a_timeout_the_provider_is_not_retried() {
    let (world, second) = with_fallback(|policy| {
        eager(policy);
        policy.timeouts.headers_ms = 50;
    })
    .await;
    let mut client = world.post(MESSAGES, REQUEST).await;
    let silent = world.provider.next().await;
    answer(second.next().await, "200 OK", "").await;
    assert_eq!(client.answer().await.0.status, 200);
    assert_eq!(world.control.one_record().await.attempts, 2);
    silent.until_closed().await;
}

#[tokio::test]
async fn the_last_candidates_failure_is_relayed() {
    let (world, second) = with_fallback(|_| {}).await;
    let mut client = world.post(MESSAGES, REQUEST).await;
    answer(world.provider.next().await, "503 Service Unavailable", "").await;
    answer(second.next().await, "529 Overloaded", "request-id: req_2\r\n").await;
    let head = client.answer().await.0;
    assert_eq!((head.status, head.header("request-id")), (529, Some("req_2")));
    let record = world.control.one_record().await;
    assert_eq!((record.provider.as_str(), record.attempts), ("second", 2));
}

#[tokio::test]
async fn with_a_users_own_key_there_is_no_fallback() {
    let (world, second) = with_fallback(|_| {}).await;
    let mut client = world.client().await;
    let headers = format!(
        "x-lychgate-token: {}\r\nx-api-key: sk-own-abcdefghijkl-7890\r\n",
        world.token.expose()
    );
    client.send(&format!("POST {MESSAGES}"), &headers, REQUEST).await;
    answer(world.provider.next().await, "503 Service Unavailable", "").await;
    assert_eq!(client.answer().await.0.status, 503);
    // The first request that reaches the other provider is the next one.
    let mut client = world.post(MESSAGES, REQUEST).await;
    answer(world.provider.next().await, "503 Service Unavailable", "").await;
    let exchange = second.next().await;
    assert_eq!(key(&exchange), "sk-second-0123456789");
    answer(exchange, "200 OK", "").await;
    client.answer().await;
}

#[tokio::test]
async fn targets_are_drawn_by_weight_and_a_change_applies_at_once() {
    let (world, second) = with_fallback(|_| {}).await;
    let (mut providers, mut routes) = (world.control.providers(), world.control.routes());
    let other = providers[2].id;
    routes[0].targets = vec![target(providers[0].id, None), target(other, Some("n"))];
    routes[0].targets[0].weight = 3;
    world.control.configure_routes(providers.clone(), routes.clone());
    world.control.until_in_force().await;
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for _ in 0..200 {
        let mut client = world.post(MESSAGES, REQUEST).await;
        let (name, exchange) = tokio::select! {
            exchange = world.provider.next() => ("first", exchange),
            exchange = second.next() => ("second", exchange),
        };
        *counts.entry(name).or_default() += 1;
        answer(exchange, "200 OK", "").await;
        client.answer().await;
    }
    // 50 are expected; the odds of leaving this range are one in millions.
    assert!((20..=85).contains(&counts["second"]), "{counts:?}");

    providers[0].policy.retry.max_attempts = 2;
    world.control.configure_routes(providers, Vec::new());
    world.control.until_in_force().await;
    let mut client = world.post(MESSAGES, REQUEST).await;
    for _ in 0..2 {
        answer(
            world.provider.next().await,
            "503 Service Unavailable",
            "retry-after: 0\r\n",
        )
        .await;
    }
    assert_eq!(client.answer().await.0.status, 503, "no route, but a retry");
}

#[tokio::test]
async fn a_route_without_a_usable_target_is_refused() {
    let (world, second) = with_fallback(|_| {}).await;
    let unnamed = br#"{"model":["m"]}"#;
    let (providers, mut routes) = (world.control.providers(), world.control.routes());
    routes[0].model = "*".into();
    world.control.configure_routes(providers.clone(), routes.clone());
    world.control.until_in_force().await;
    let mut client = world.post(MESSAGES, unnamed).await;
    answer(world.provider.next().await, "503 Service Unavailable", "").await;
    assert_eq!(
        client.answer().await.0.status,
        503,
        "the fallback can't be asked for its model"
    );

    routes[0].targets = std::mem::take(&mut routes[0].fallbacks);
    world.control.configure_routes(providers.clone(), routes.clone());
    world.control.until_in_force().await;
    let mut client = world.post(MESSAGES, unnamed).await;
    let (head, body) = client.answer().await;
    assert_eq!(head.status, 400, "{}", String::from_utf8_lossy(&body));
    assert_eq!(head.header("x-lychgate-interception-id"), None, "it went nowhere");

    // Of another family: it can't serve.
    routes[0].targets = vec![target(providers[1].id, None)];
    world.control.configure_routes(providers, routes);
    world.control.until_in_force().await;
    let (head, body) = world.post(MESSAGES, REQUEST).await.answer().await;
    assert_eq!(head.status, 503);
    assert!(String::from_utf8(body).unwrap().contains("route"));
    drop(second);
    assert_eq!(world.control.delivered(1).await.len(), 1);
}

#[tokio::test]
async fn a_chat_request_gets_both_the_usage_option_and_another_model() {
    let world = World::new().await;
    let (providers, openai) = (world.control.providers(), world.control.providers()[1].id);
    let route = lychgate_link::RouteConfig {
        id: lychgate_types::Ambient::system().new_id(),
        provider: openai,
        model: "gpt".into(),
        targets: vec![target(openai, Some("gpt-next"))],
        fallbacks: Vec::new(),
    };
    world.control.configure_routes(providers, vec![route]);
    world.control.until_in_force().await;
    let mut client = world
        .post("/ai/openai/v1/chat/completions", br#"{"model":"gpt","stream":true}"#)
        .await;
    let mut exchange = world.provider.next().await;
    assert_eq!(
        exchange.body,
        br#"{"stream_options":{"include_usage":true},"model":"gpt-next","stream":true}"#
    );
    let chunk = b"data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
    let usage = b"data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n";
    exchange.stream().await;
    exchange.chunk(chunk).await;
    exchange.chunk(usage).await;
    exchange.chunk(b"data: [DONE]\n\n").await;
    exchange.end().await;
    let (_, body) = client.answer().await;
    assert_eq!(body, [&chunk[..], b"data: [DONE]\n\n"].concat());
    let record = world.control.one_record().await;
    assert_eq!(
        (record.model.as_str(), record.token_usages[0].output_tokens),
        ("gpt", 4)
    );
}
