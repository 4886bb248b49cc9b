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
};

fn mark(breakers: &Breakers, model: &str) -> Mark {
    let provider = ProviderId::from_uuid(Default::default());
    Mark {
        provider,
        key: breakers.key(provider, Api::AnthropicMessages, breakers.model(model), OWN),
        policy: POLICY,
    }
}

fn opened() -> (Arc<Breakers>, Mark) {
    let breakers = Arc::new(Breakers::default());
    let mark = mark(&breakers, "m");
    (0..3).for_each(|_| breakers.failed(mark));
    (breakers, mark)
}

#[tokio::test(start_paused = true)]
async fn failures_open_it_and_an_answer_closes_it() {
    let (breakers, mark) = opened();
    assert_eq!(breakers.not_closed(), [(mark.provider, BreakerState::Open)]);
    assert_eq!(breakers.admit(mark).unwrap_err(), Duration::from_secs(5));
    advance(Duration::from_secs(4)).await;
    assert_eq!(breakers.admit(mark).unwrap_err(), Duration::from_secs(1));
    advance(Duration::from_secs(1)).await;
    assert_eq!(breakers.not_closed(), [(mark.provider, BreakerState::HalfOpen)]);
    breakers.admit(mark).unwrap().answered();
    assert_eq!(breakers.len(), 0);
    (0..2).for_each(|_| breakers.failed(mark));
    assert_eq!(breakers.not_closed(), []);
    assert!(breakers.admit(mark).is_ok(), "the old failures are forgotten");
}

#[tokio::test(start_paused = true)]
async fn half_open_admits_few_and_one_failure_opens_it_again() {
    let (breakers, mark) = opened();
    advance(Duration::from_secs(5)).await;
    let mut first = breakers.admit(mark).unwrap();
    let second = breakers.admit(mark).unwrap();
    assert_eq!(breakers.admit(mark).unwrap_err(), Duration::from_secs(1));
    // One that nothing comes of gives its place back.
    drop(second);
    let mut second = breakers.admit(mark).unwrap();
    first.failed(&breakers);
    assert_eq!(breakers.admit(mark).unwrap_err(), Duration::from_secs(5));
    // What the other one finds out comes too late.
    second.answered();
    assert!(breakers.admit(mark).is_err());
    let late = {
        advance(Duration::from_secs(5)).await;
        let late = breakers.admit(mark).unwrap();
        breakers.admit(mark).unwrap().failed(&breakers);
        advance(Duration::from_secs(5)).await;
        late
    };
    let trials = [breakers.admit(mark), breakers.admit(mark)];
    assert!(trials.iter().all(Result::is_ok), "no place was lost");
    drop(late);
    assert!(breakers.admit(mark).is_err(), "none was won");
}

#[tokio::test(start_paused = true)]
async fn only_failures_within_the_window_count() {
    let breakers = Arc::new(Breakers::default());
    let mark = mark(&breakers, "m");
    breakers.failed(mark);
    breakers.failed(mark);
    advance(Duration::from_secs(16)).await;
    breakers.failed(mark);
    assert!(breakers.admit(mark).is_ok());
    advance(Duration::from_secs(13)).await;
    breakers.failed(mark);
    assert!(breakers.admit(mark).is_ok());
    breakers.failed(mark);
    assert!(breakers.admit(mark).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_failure_counts_however_long_it_took() {
    let breakers = Arc::new(Breakers::default());
    let mark = mark(&breakers, "m");
    let permits: Vec<_> = (0..3).map(|_| breakers.admit(mark).unwrap()).collect();
    advance(Duration::from_secs(3600)).await;
    for mut permit in permits {
        permit.failed(&breakers);
    }
    assert!(breakers.admit(mark).is_err());
}

#[tokio::test(start_paused = true)]
async fn latecomers_do_not_open_a_half_open_one() {
    let (breakers, mark) = opened();
    advance(Duration::from_secs(5)).await;
    let mut trial = breakers.admit(mark).unwrap();
    breakers.failed(mark);
    trial.answered();
    assert!(breakers.admit(mark).is_ok());
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
        let key = breakers.key(provider, api, model, credential);
        assert!(breakers.admit(Mark { key, ..open }).is_ok());
    }
    assert!(breakers.admit(mark(&breakers, "m")).is_err());
}

#[tokio::test(start_paused = true)]
async fn the_policy_of_the_moment_counts() {
    let (breakers, mut mark) = opened();
    mark.policy.failures = 0;
    assert!(breakers.admit(mark).is_ok(), "switched off");
    (0..9).for_each(|_| breakers.failed(mark));
    mark.policy = BreakerPolicy {
        failures: 2,
        window_seconds: 3600,
        ..POLICY
    };
    mark.key = self::mark(&breakers, "other").key;
    breakers.failed(mark);
    advance(Duration::from_secs(3000)).await;
    mark.policy.window_seconds = 16;
    breakers.failed(mark);
    assert!(breakers.admit(mark).is_ok(), "the window became shorter");
    mark.policy.window_seconds = 3600;
    breakers.failed(mark);
    assert!(breakers.admit(mark).is_err());
}

#[tokio::test(start_paused = true)]
async fn invented_models_neither_fill_the_memory_nor_push_open_ones_out() {
    let (breakers, open) = opened();
    for number in 0..100_000 {
        breakers.failed(mark(&breakers, &number.to_string()));
    }
    assert_eq!(breakers.len(), SHARDS * PER_SHARD);
    assert!(breakers.admit(open).is_err());
    // What is stale makes room by itself.
    advance(Duration::from_secs(3600)).await;
    for number in 0..1000 {
        breakers.failed(mark(&breakers, &number.to_string()));
    }
    assert!(breakers.len() < SHARDS * PER_SHARD);
}
