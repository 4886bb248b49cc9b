use super::*;
use lychgate_types::Ambient;
use tokio::time::advance;

const OWN: Credential<'_> = Credential::Own(&KEY);
static KEY: HeaderValue = HeaderValue::from_static("key");
static OTHER: HeaderValue = HeaderValue::from_static("other");

const POLICY: BreakerPolicy = BreakerPolicy {
    failures: 3,
    window_seconds: 16,
    open_seconds: 5,
    half_open_requests: 2,
    failure_status: 500,
};

fn target(breakers: &Breakers, model: &str) -> BreakerTarget {
    let provider = ProviderId::from_uuid(Default::default());
    BreakerTarget {
        provider,
        id: breakers.id(provider, Api::AnthropicMessages, breakers.model(model), OWN),
        policy: POLICY,
    }
}

fn opened() -> (Arc<Breakers>, BreakerTarget) {
    let breakers = Arc::new(Breakers::default());
    let target = target(&breakers, "m");
    (0..3).for_each(|_| {
        breakers.failed(target);
    });
    (breakers, target)
}

#[tokio::test(start_paused = true)]
async fn failures_open_it_and_an_answer_closes_it() {
    let (breakers, target) = opened();
    assert_eq!(breakers.not_closed(), [(target.provider, BreakerState::Open)]);
    assert_eq!(breakers.admit(target).unwrap_err(), Duration::from_secs(5));
    advance(Duration::from_secs(4)).await;
    assert_eq!(breakers.admit(target).unwrap_err(), Duration::from_secs(1));
    advance(Duration::from_secs(1)).await;
    assert_eq!(breakers.not_closed(), [(target.provider, BreakerState::HalfOpen)]);
    breakers
        .admit(target)
        .unwrap()
        .report(BreakerReport::Success, &breakers);
    assert_eq!(breakers.len(), 0);
    (0..2).for_each(|_| {
        breakers.failed(target);
    });
    assert_eq!(breakers.not_closed(), []);
    assert!(breakers.admit(target).is_ok(), "the old failures are forgotten");
}

#[tokio::test(start_paused = true)]
async fn half_open_admits_few_and_one_failure_opens_it_again() {
    let (breakers, target) = opened();
    advance(Duration::from_secs(5)).await;
    let mut first = breakers.admit(target).unwrap();
    let second = breakers.admit(target).unwrap();
    assert_eq!(breakers.admit(target).unwrap_err(), Duration::from_secs(1));
    // One that nothing comes of gives its place back.
    drop(second);
    let mut second = breakers.admit(target).unwrap();
    first.report(BreakerReport::Failure, &breakers);
    assert_eq!(breakers.admit(target).unwrap_err(), Duration::from_secs(5));
    // What the other one finds out comes too late.
    second.report(BreakerReport::Success, &breakers);
    assert!(breakers.admit(target).is_err());
    let late = {
        advance(Duration::from_secs(5)).await;
        let late = breakers.admit(target).unwrap();
        breakers
            .admit(target)
            .unwrap()
            .report(BreakerReport::Failure, &breakers);
        advance(Duration::from_secs(5)).await;
        late
    };
    let probes = [breakers.admit(target), breakers.admit(target)];
    assert!(probes.iter().all(Result::is_ok), "no place was lost");
    drop(late);
    assert!(breakers.admit(target).is_err(), "none was won");
}

#[tokio::test(start_paused = true)]
async fn only_failures_within_the_window_count() {
    let breakers = Arc::new(Breakers::default());
    let target = target(&breakers, "m");
    breakers.failed(target);
    breakers.failed(target);
    advance(Duration::from_secs(16)).await;
    breakers.failed(target);
    assert!(breakers.admit(target).is_ok());
    advance(Duration::from_secs(13)).await;
    breakers.failed(target);
    assert!(breakers.admit(target).is_ok());
    breakers.failed(target);
    assert!(breakers.admit(target).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_failure_counts_however_long_it_took() {
    let breakers = Arc::new(Breakers::default());
    let target = target(&breakers, "m");
    let permits: Vec<_> = (0..3).map(|_| breakers.admit(target).unwrap()).collect();
    advance(Duration::from_secs(3600)).await;
    for mut permit in permits {
        permit.report(BreakerReport::Failure, &breakers);
    }
    assert!(breakers.admit(target).is_err());
}

#[tokio::test(start_paused = true)]
async fn latecomers_do_not_open_a_half_open_one() {
    let (breakers, target) = opened();
    advance(Duration::from_secs(5)).await;
    let mut probe = breakers.admit(target).unwrap();
    breakers.failed(target);
    probe.report(BreakerReport::Success, &breakers);
    assert!(breakers.admit(target).is_ok());
}

#[tokio::test(start_paused = true)]
async fn each_provider_api_model_and_credential_has_its_own() {
    let (breakers, open) = opened();
    let other: ProviderId = Ambient::system().new_id();
    let nil = ProviderId::from_uuid(Default::default());
    let model = breakers.model("m");
    for (provider, api, model, credential) in [
        (other, Api::AnthropicMessages, model, OWN),
        (nil, Api::OpenAiResponses, model, OWN),
        (nil, Api::AnthropicMessages, breakers.model("n"), OWN),
        (nil, Api::AnthropicMessages, model, Credential::Own(&OTHER)),
        (
            nil,
            Api::AnthropicMessages,
            model,
            Credential::Central(Ambient::system().new_id()),
        ),
    ] {
        let id = breakers.id(provider, api, model, credential);
        assert!(breakers.admit(BreakerTarget { id, ..open }).is_ok());
    }
    assert!(breakers.admit(target(&breakers, "m")).is_err());
}

#[tokio::test(start_paused = true)]
async fn the_policy_of_the_moment_counts() {
    let (breakers, mut target) = opened();
    target.policy.failures = 0;
    assert!(breakers.admit(target).is_ok(), "switched off");
    (0..9).for_each(|_| {
        breakers.failed(target);
    });
    target.policy = BreakerPolicy {
        failures: 2,
        window_seconds: 3600,
        ..POLICY
    };
    target.id = self::target(&breakers, "other").id;
    breakers.failed(target);
    advance(Duration::from_secs(3000)).await;
    target.policy.window_seconds = 16;
    breakers.failed(target);
    assert!(breakers.admit(target).is_ok(), "the window became shorter");
    target.policy.window_seconds = 3600;
    breakers.failed(target);
    assert!(breakers.admit(target).is_err());
}

#[tokio::test(start_paused = true)]
async fn invented_models_neither_fill_the_memory_nor_push_open_ones_out() {
    let (breakers, open) = opened();
    for number in 0..100_000 {
        breakers.failed(target(&breakers, &number.to_string()));
    }
    assert_eq!(breakers.len(), SHARDS * PER_SHARD);
    assert!(breakers.admit(open).is_err());
    // What is stale makes room by itself.
    advance(Duration::from_secs(3600)).await;
    for number in 0..1000 {
        breakers.failed(target(&breakers, &number.to_string()));
    }
    assert!(breakers.len() < SHARDS * PER_SHARD);
}
