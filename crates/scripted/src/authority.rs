//! An authority that hands out credentials for a while, as Entra ID does to the clients that are registered there:
//! `POST /{tenant}/oauth2/v2.0/token`. A tenant that is called `lives-3s` gets credentials for three seconds, every other one for an hour.
//! What has expired is refused by every API of the same scripted provider.

use crate::script::Script;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Method};
use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

const BEGINNING: &str = "scripted-credential-0123456789-";
const END: &str = "-for-a-while";
const LIFE: Duration = Duration::from_secs(3600);
/// The secret of a client that the authority does not know.
const WRONG: &str = "wrong";

/// When each credential that was handed out expires, in their order.
#[derive(Debug, Default)]
pub(crate) struct Authority(Mutex<Vec<Instant>>);

impl Authority {
    /// The answer, where the authority is asked.
    pub(crate) fn answer(&self, parts: &Parts, body: &[u8]) -> Option<Script> {
        let tenant = parts.uri.path().strip_prefix('/')?.strip_suffix("/oauth2/v2.0/token")?;
        let form = String::from_utf8_lossy(body);
        let field = |name: &str| {
            form.split('&')
                .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        let whole = ["client_id", "client_secret", "scope"]
            .iter()
            .all(|name| field(name).is_some());
        if parts.method != Method::POST || field("grant_type") != Some("client_credentials") || !whole {
            return Some(refusal(
                400,
                "invalid_request",
                900_144,
                "The request body lacks a parameter.",
            ));
        }
        if field("client_secret") == Some(WRONG) {
            return Some(refusal(
                401,
                "invalid_client",
                7_000_215,
                "Invalid client secret provided.",
            ));
        }
        let told = tenant
            .strip_prefix("lives-")
            .and_then(|told| told.strip_suffix('s')?.parse().ok());
        let life = told.map_or(LIFE, Duration::from_secs);
        let mut all = self.0.lock();
        let (number, seconds) = (all.len(), life.as_secs());
        all.push(Instant::now() + life);
        let body = format!(
            r#"{{"token_type":"Bearer","expires_in":{seconds},"ext_expires_in":{seconds},"access_token":"{BEGINNING}{number}{END}"}}"#
        );
        Some(Script::json(200, body))
    }

    /// Whether a request comes with a credential of this authority that has expired, or that it never gave.
    pub(crate) fn refuses(&self, headers: &HeaderMap) -> bool {
        let sent = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(rest) = sent.and_then(|sent| sent.strip_prefix("Bearer ")?.strip_prefix(BEGINNING)) else {
            return false;
        };
        let number = rest.strip_suffix(END).and_then(|number| number.parse::<usize>().ok());
        let all = self.0.lock();
        let expires = number.and_then(|number| all.get(number));
        expires.is_none_or(|expires| *expires <= Instant::now())
    }
}

fn refusal(status: u16, code: &str, own: u32, text: &str) -> Script {
    let body = format!(r#"{{"error":"{code}","error_description":"AADSTS{own}: {text}","error_codes":[{own}]}}"#);
    Script::json(status, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn asked(authority: &Authority, path: &str, form: &str) -> Option<(u16, String)> {
        let request = Request::post(path).body(()).unwrap();
        let script = authority.answer(&request.into_parts().0, form.as_bytes())?;
        Some((script.status, String::from_utf8(script.bytes()).unwrap()))
    }

    fn refuses(authority: &Authority, credential: &str) -> bool {
        let value = format!("Bearer {credential}").parse().unwrap();
        authority.refuses(&HeaderMap::from_iter([(AUTHORIZATION, value)]))
    }

    #[test]
    fn credentials_work_for_their_time() {
        const FORM: &str = "grant_type=client_credentials&client_id=c&client_secret=s&scope=x";
        let authority = Authority::default();
        assert_eq!(asked(&authority, "/v1/chat/completions", FORM), None);
        let (status, body) = asked(&authority, "/t/oauth2/v2.0/token", FORM).unwrap();
        assert!(status == 200 && body.contains(r#""expires_in":3600,"#), "{body}");
        asked(&authority, "/lives-0s/oauth2/v2.0/token", FORM).unwrap();
        let credential = |number| format!("{BEGINNING}{number}{END}");
        assert!(body.contains(&credential(0)));
        for (sent, is_refused) in [
            (credential(0), false),
            (credential(1), true),
            (credential(2), true),
            ("key".into(), false),
        ] {
            assert_eq!(refuses(&authority, &sent), is_refused, "{sent}");
        }
        let wrong = FORM.replace("=s&", "=wrong&");
        for (form, status, code) in [("", 400, "invalid_request"), (&*wrong, 401, "invalid_client")] {
            let (got, body) = asked(&authority, "/t/oauth2/v2.0/token", form).unwrap();
            assert!(got == status && body.contains(code), "{body}");
        }
    }
}
