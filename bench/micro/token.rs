//! The token check where the control plane need not be asked.

use crate::configuration::configuration;
use crate::control::Agreeable;
use axum::body::Body;
use divan::{Bencher, black_box};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use lychgate_gateway::harness::token_check::Checker;
use lychgate_gateway::{Gateway, Options, SpoolOptions};
use lychgate_types::Ambient;
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::UserTokenSecret;
use std::sync::Arc;
use tower_service::Service as _;

/// From the header's text to what the token is known by: checksum and hash.
#[divan::bench]
fn token_read_and_hashed(bencher: Bencher<'_, '_>) {
    let token = UserTokenSecret::generate(&Ambient::system());
    bencher.bench_local(|| UserTokenSecret::parse(black_box(token.expose())).map(|token| token.hash()));
}

/// From the headers to what is believed of the token, by several at once that ask about the same one.
#[divan::bench(threads = [1, 2])]
#[expect(clippy::expect_used, reason = "a bench that can't start has nothing to tell")]
fn token_checked(bencher: Bencher<'_, '_>) {
    let ambient = Ambient::system();
    let token = UserTokenSecret::generate(&ambient);
    let mut known: Vec<_> = (0..10_000)
        .map(|_| UserTokenSecret::generate(&ambient).hash())
        .collect();
    known.push(token.hash());
    let checker = Checker::knowing(&known, &ambient);
    let mut headers = HeaderMap::new();
    let bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose())).expect("a header");
    headers.insert("authorization", bearer);
    bencher.bench(|| assert!(checker.check(ProviderType::OpenAi, black_box(&headers))));
}

/// A whole request that ends with the check: the way in, the token, the lease that says no, and the refusal's answer.
#[divan::bench]
#[expect(clippy::expect_used, reason = "a bench that can't start has nothing to tell")]
fn request_refused_by_a_known_token(bencher: Bencher<'_, '_>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let token = UserTokenSecret::generate(&Ambient::system());
    let request = || {
        Request::post("/ai/openai/v1/chat/completions")
            .header("authorization", format!("Bearer {}", token.expose()))
            .header("content-type", "application/json")
            .header("user-agent", "micro")
            .body(Body::empty())
            .expect("a request")
    };
    let control = Agreeable {
        configuration: Arc::new(configuration(([127, 0, 0, 1], 9).into()).expect("a configuration")),
        may_send_requests: false,
    };
    let spool = tempfile::tempdir().expect("a directory");
    let options = Options {
        spool: SpoolOptions::new(spool.path()),
        ..Options::new("micro", "127.0.0.1:0", "0")
    };
    let mut router = runtime.block_on(async {
        let gateway = Gateway::start(options, Arc::new(control), Ambient::system()).expect("a gateway");
        while gateway.readiness().is_err() {
            tokio::task::yield_now().await;
        }
        let mut router = gateway.router();
        // The control plane is asked here, and not again.
        let known = router.call(request()).await.map(|response| response.status());
        assert_eq!(known, Ok(StatusCode::FORBIDDEN));
        router
    });
    let _inside = runtime.enter();
    bencher
        .with_inputs(request)
        .bench_local_values(|request| router.call(request).now_or_never().expect("nothing to wait for"));
}
