//! What an authority answers.

use lychgate_types::secret::ProviderSecret;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// Bytes of an answer that are read.
pub const ANSWER_BYTES: usize = 64 << 10;
/// Bytes of a credential.
pub const CREDENTIAL_BYTES: usize = 16 << 10;
/// No credential is believed to work for longer.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The codes that are told: those of OAuth 2.0 (RFC 6749, 5.2) and Entra ID's own. Anything else could be a secret that an authority gives
/// back.
const CODES: &[&str] = &[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_resource",
    "interaction_required",
    "temporarily_unavailable",
    "server_error",
];

/// A credential, and how long it works.
#[derive(Debug)]
pub struct Fetched {
    /// What goes upstream.
    pub credential: ProviderSecret,
    /// Counted from when it was asked for.
    pub lifetime: Duration,
}

/// Why there is no credential. It has nothing of the authority's text but its code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotGranted {
    /// It refuses.
    #[error("the authority answered {status} `{code}`")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The error's code, which is a known one.
        code: String,
    },
    /// It answers something else.
    #[error("the authority's answer ({0}) has no credential in it")]
    Unreadable(u16),
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds, as a number or a text.
    expires_in: Value,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    /// Entra ID's own, more telling than its `error`.
    #[serde(default)]
    error_codes: Vec<u32>,
}

impl Fetched {
    /// Reads a whole answer.
    ///
    /// # Errors
    /// It holds no credential that can be sent.
    pub fn read(status: u16, body: &[u8]) -> Result<Self, NotGranted> {
        if status != 200 {
            let refusal = serde_json::from_slice::<Refusal>(body);
            let code = refusal.ok().and_then(|refusal| refusal.code());
            return Err(code.map_or(NotGranted::Unreadable(status), |code| NotGranted::Refused {
                status,
                code,
            }));
        }
        let unreadable = || NotGranted::Unreadable(status);
        let Granted {
            access_token,
            expires_in,
        } = serde_json::from_slice(body).map_err(|_| unreadable())?;
        let credential = ProviderSecret::new(access_token);
        let text = credential.expose();
        let is_sendable = (1..=CREDENTIAL_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        let seconds = expires_in.as_u64().or_else(|| expires_in.as_str()?.parse().ok());
        match seconds.filter(|seconds| is_sendable && *seconds > 0) {
            Some(seconds) => Ok(Self {
                credential,
                lifetime: Duration::from_secs(seconds).min(LONGEST),
            }),
            None => Err(unreadable()),
        }
    }
}

impl Refusal {
    fn code(self) -> Option<String> {
        let code = CODES.iter().find(|code| **code == self.error)?;
        let own = self.error_codes.first().map(|code| format!(" AADSTS{code}"));
        Some(format!("{code}{}", own.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Result<(String, u64), NotGranted> {
        let fetched = Fetched::read(status, body.as_bytes())?;
        Ok((fetched.credential.expose().to_owned(), fetched.lifetime.as_secs()))
    }

    #[test]
    fn a_credential_comes_with_how_long_it_works() {
        let granted = |rest: &str| {
            read(
                200,
                &format!(r#"{{"token_type":"Bearer","access_token":"ey.a","expires_in":{rest}}}"#),
            )
        };
        assert_eq!(granted("3599"), Ok(("ey.a".to_owned(), 3599)));
        assert_eq!(granted(r#""3599","ext_expires_in":1"#), Ok(("ey.a".to_owned(), 3599)));
        assert_eq!(granted("99999999999"), Ok(("ey.a".to_owned(), LONGEST.as_secs())));
        for rest in ["0", "-1", "1.5", "null", r#""soon""#] {
            assert_eq!(granted(rest), Err(NotGranted::Unreadable(200)), "{rest}");
        }
    }

    #[test]
    fn of_a_refusal_only_its_code_is_told() {
        let refused = |body: &str| read(401, body).unwrap_err().to_string();
        let entra =
            r#"{"error":"invalid_client","error_description":"AADSTS7000215: sk-canary","error_codes":[7000215]}"#;
        assert_eq!(
            refused(entra),
            "the authority answered 401 `invalid_client AADSTS7000215`"
        );
        assert_eq!(
            refused(r#"{"error":"invalid_grant"}"#),
            "the authority answered 401 `invalid_grant`"
        );
        for body in ["", "<html>", "[]", r#"{"error":"sk-canary"}"#, r#"{"error":""}"#] {
            assert_eq!(
                refused(body),
                "the authority's answer (401) has no credential in it",
                "{body}"
            );
        }
    }

    #[test]
    fn what_cant_be_sent_is_no_credential() {
        let token = |text: &str| read(200, &format!(r#"{{"access_token":"{text}","expires_in":60}}"#)).is_ok();
        assert!(token(&"x".repeat(CREDENTIAL_BYTES)));
        for text in ["", "a b", r"a\nb", "é", &"x".repeat(CREDENTIAL_BYTES + 1)] {
            assert!(!token(text), "{text}");
        }
        assert_eq!(read(200, "{}"), Err(NotGranted::Unreadable(200)));
    }
}
