use super::*;
use BreakerReport::{Failure, Nothing, Success};
use RetryDecision::{Failover, Forward, RateLimited, Retry, RotateKey};
use http::{HeaderName, HeaderValue};

const CONFIGURED: Duration = Duration::from_secs(60);

fn answered(status: u16, headers: &[(&'static str, &'static str)]) -> AttemptEnd {
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    AttemptEnd::answered(StatusCode::from_u16(status).unwrap(), &headers, &Ambient::system())
}

#[test]
fn credit_that_is_tied_up_is_waited_for() {
    let wait = Some(Duration::from_secs(3));
    let end = answered(402, &[("retry-after", "3")]);
    for (key_cooldown, cooldown) in [(Some(CONFIGURED), wait), (None, None)] {
        let wanted = Consequences {
            breaker: Success,
            cooldown,
            decision: RateLimited(wait),
        };
        assert_eq!(end.consequences(key_cooldown, 500), wanted);
    }
}

#[test]
fn every_row_of_the_table() {
    use AttemptEnd as End;
    let cools = Some(CONFIGURED);
    for (end, breaker, cooldown, decision) in [
        (answered(200, &[]), Success, None, Forward),
        (answered(204, &[]), Success, None, Forward),
        (answered(302, &[]), Success, None, Forward),
        (answered(400, &[]), Success, None, Forward),
        (answered(401, &[]), Success, cools, RotateKey),
        (answered(402, &[]), Success, cools, RotateKey),
        (answered(403, &[]), Success, cools, RotateKey),
        (answered(404, &[]), Success, None, Forward),
        (answered(408, &[]), Success, None, Retry(None)),
        (answered(409, &[]), Success, None, Retry(None)),
        (answered(413, &[]), Success, None, Forward),
        (answered(422, &[]), Success, None, Forward),
        (answered(429, &[]), Success, cools, RateLimited(None)),
        (answered(500, &[]), Failure, None, Retry(None)),
        (answered(501, &[]), Failure, None, Retry(None)),
        (answered(502, &[]), Failure, None, Retry(None)),
        (answered(503, &[]), Failure, None, Retry(None)),
        (answered(504, &[]), Failure, None, Retry(None)),
        (answered(529, &[]), Failure, None, Retry(None)),
        (answered(599, &[]), Failure, None, Retry(None)),
        (answered(600, &[]), Success, None, Forward),
        (End::OutOfCredit { status: 400 }, Success, cools, RotateKey),
        (End::NotAboutTheKey { status: 403 }, Success, None, RotateKey),
        (End::NoHttp, Failure, None, Failover),
        (End::ConnectionFailed, Failure, None, Retry(None)),
        (End::AddressForbidden, Failure, None, Failover),
        (End::HeadTimedOut, Failure, None, Failover),
        (End::BodyMissing, Failure, None, Retry(None)),
        (End::BodyCut, Failure, None, Forward),
        (End::BodyStalled, Failure, None, Forward),
        (End::BodyTooLong, Nothing, None, Forward),
    ] {
        let wanted = Consequences {
            breaker,
            cooldown,
            decision,
        };
        assert_eq!(end.consequences(Some(CONFIGURED), 500), wanted, "{end:?}");
    }
}

#[test]
fn the_policy_says_which_statuses_count() {
    for (failure_status, counting) in [(500, vec![500, 502, 503, 529]), (503, vec![503, 529]), (600, vec![])] {
        let counts = |status: &u16| answered(*status, &[]).consequences(None, failure_status).breaker == Failure;
        let found: Vec<u16> = [200, 429, 500, 502, 503, 529].into_iter().filter(counts).collect();
        assert_eq!(found, counting);
    }
}

#[test]
fn a_users_own_key_neither_cools_down_nor_rotates() {
    for (status, decision) in [(401, Forward), (402, Forward), (403, Forward), (429, RateLimited(None))] {
        let wanted = Consequences {
            breaker: Success,
            cooldown: None,
            decision,
        };
        assert_eq!(answered(status, &[]).consequences(None, 500), wanted, "{status}");
    }
    let out_of_credit = AttemptEnd::OutOfCredit { status: 429 }.consequences(None, 500);
    assert_eq!((out_of_credit.cooldown, out_of_credit.decision), (None, Forward));
}

#[test]
fn a_provider_may_say_itself_whether_to_retry() {
    for (status, said, own_key, decision) in [
        (200, "true", false, Forward),
        (302, "true", false, Forward),
        (400, "true", false, Retry(None)),
        (401, "true", false, RotateKey),
        (401, "true", true, Retry(None)),
        (200, "false", false, Forward),
        (400, "false", false, Forward),
        (401, "false", false, RotateKey),
        (401, "false", true, Forward),
        (429, "false", false, RotateKey),
        (429, "false", true, RotateKey),
        (429, "true", false, RateLimited(None)),
        (503, "false", false, RotateKey),
        (503, "perhaps", false, Retry(None)),
    ] {
        let key_cooldown = (!own_key).then_some(CONFIGURED);
        let said_so = answered(status, &[("x-should-retry", said)]).consequences(key_cooldown, 500);
        assert_eq!(said_so.decision, decision, "{status} {said}");
        let silent = answered(status, &[]).consequences(key_cooldown, 500);
        assert_eq!(
            (said_so.breaker, said_so.cooldown),
            (silent.breaker, silent.cooldown),
            "only further attempts depend on it: {status} {said}"
        );
    }
}

#[test]
fn a_wait_that_the_provider_asks_for_is_kept_to() {
    let asked = Some(Duration::from_secs(7));
    for (status, cooldown, decision) in [
        (401, Some(CONFIGURED), RotateKey),
        (408, None, Retry(asked)),
        (429, asked, RateLimited(asked)),
        (503, None, Retry(asked)),
    ] {
        let found = answered(status, &[("retry-after", "7")]).consequences(Some(CONFIGURED), 500);
        assert_eq!((found.cooldown, found.decision), (cooldown, decision), "{status}");
    }
    let limited = answered(429, &[("retry-after", "7")]).consequences(None, 500);
    assert_eq!((limited.cooldown, limited.decision), (None, RateLimited(asked)));
    let asked_for_more = answered(400, &[("retry-after", "7"), ("x-should-retry", "true")]);
    assert_eq!(asked_for_more.consequences(None, 500).decision, Retry(asked));
}
