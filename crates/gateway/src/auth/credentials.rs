//! Credentials out of a request's headers: the user token, and with it perhaps the user's own provider credential.
//!
//! Not here: whether the token holds (`lease`), and what goes upstream (`headers`).

use crate::error::Refusal;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use lychgate_link::DenyReason;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::{GatewayKeyKind, Kind, ProviderSecret, SecretHash, UserTokenKind, UserTokenSecret};

pub(crate) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Carries the user token when the usual headers carry the user's own provider credential.
pub(crate) const X_LYCHGATE_TOKEN: HeaderName = HeaderName::from_static("x-lychgate-token");

/// Who asks, and whose credential is to go upstream.
#[derive(Debug)]
pub(crate) struct Credentials {
    /// The user token's hash.
    pub(crate) token: SecretHash,
    /// The user's own provider credential (bring your own key); `None` means the central key.
    pub(crate) own: Option<Outgoing>,
}

/// A provider credential as it goes upstream.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) name: HeaderName,
    /// Marked sensitive, so that nothing prints it.
    pub(crate) value: HeaderValue,
    /// First and last characters, for the record.
    pub(crate) hint: String,
}

/// Reads the credentials. A token whose checksum does not match is refused here, without asking anybody.
pub(crate) fn read(provider_type: ProviderType, headers: &HeaderMap) -> Result<Credentials, Refusal> {
    if let Some(value) = headers.get(X_LYCHGATE_TOKEN) {
        let token = parse(value.as_bytes())?;
        let own = own_credential(provider_type, headers).ok_or_else(|| {
            Refusal::unauthorized(
                Refused::CredentialMissing,
                "x-lychgate-token means that you bring your own provider key: send that key in Authorization or x-api-key, \
                 or send the Lychgate token there instead to use the platform's key",
            )
        })?;
        return Ok(Credentials { token, own: Some(own) });
    }
    let bearer = headers.get(AUTHORIZATION).and_then(bearer);
    let key = headers.get(X_API_KEY).map(HeaderValue::as_bytes);
    let (first, second) = if provider_type == ProviderType::Anthropic {
        (key, bearer)
    } else {
        (bearer, key)
    };
    // Clients send stray provider keys along; the one that is a user token counts, else the one that has precedence.
    let found = [first, second].into_iter().flatten();
    let token = found
        .clone()
        .find(|text| text.starts_with(UserTokenKind::PREFIX.as_bytes()))
        .or(found.clone().next());
    match token {
        Some(token) => Ok(Credentials {
            token: parse(token)?,
            own: None,
        }),
        None => Err(Refusal::unauthorized(
            Refused::CredentialMissing,
            "no Lychgate token: send it as Authorization: Bearer, or in x-api-key, or in x-lychgate-token",
        )),
    }
}

/// What the bearer of a token hears that the control plane does not stand by.
pub(crate) fn denied(reason: DenyReason) -> Refusal {
    let (reason, message) = match reason {
        DenyReason::Unknown => (
            Refused::TokenUnknown,
            "this Lychgate token is not known: it was deleted, or belongs to another deployment",
        ),
        DenyReason::Expired => (Refused::TokenExpired, "this Lychgate token has expired; make a new one"),
        DenyReason::Revoked => (Refused::TokenRevoked, "this Lychgate token was revoked"),
        DenyReason::Suspended => (Refused::UserSuspended, "the user of this Lychgate token is suspended"),
    };
    Refusal::unauthorized(reason, message)
}

fn parse(token: &[u8]) -> Result<SecretHash, Refusal> {
    let text = std::str::from_utf8(token).unwrap_or_default();
    match UserTokenSecret::parse(text) {
        Ok(token) => Ok(token.hash()),
        Err(error) => {
            let message = format!("this is not a Lychgate token: {error}");
            Err(Refusal::unauthorized(Refused::TokenMalformed, message))
        }
    }
}

/// The provider credential that the client sends for itself. Lychgate's own secrets never count as one: they do not go
/// upstream, whatever header they stand in.
fn own_credential(provider_type: ProviderType, headers: &HeaderMap) -> Option<Outgoing> {
    let pick = |name: HeaderName| {
        let value = headers.get(&name)?;
        let text = bearer(value).unwrap_or(value.as_bytes()).trim_ascii();
        let ours = [UserTokenKind::PREFIX, GatewayKeyKind::PREFIX]
            .iter()
            .any(|p| text.starts_with(p.as_bytes()));
        if text.is_empty() || ours {
            return None;
        }
        let hint = ProviderSecret::new(String::from_utf8_lossy(text).into_owned()).hint();
        let mut value = value.clone();
        value.set_sensitive(true);
        Some(Outgoing { name, value, hint })
    };
    match provider_type {
        ProviderType::Anthropic => pick(X_API_KEY).or_else(|| pick(AUTHORIZATION)),
        ProviderType::OpenAi | ProviderType::OpenAiCompatible => pick(AUTHORIZATION),
    }
}

/// What follows the scheme `Bearer`.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, rest) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lychgate_types::Ambient;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn where_the_token_may_stand() {
        let token = UserTokenSecret::generate(&Ambient::system());
        let bearer = format!("bearer {}", token.expose());
        for (provider_type, pairs) in [
            (ProviderType::OpenAi, vec![("authorization", bearer.as_str())]),
            (ProviderType::OpenAi, vec![("x-api-key", token.expose())]),
            (
                ProviderType::OpenAi,
                vec![("authorization", "Bearer sk-stray"), ("x-api-key", token.expose())],
            ),
            (
                ProviderType::Anthropic,
                vec![("authorization", &bearer), ("x-api-key", "sk-ant-stray")],
            ),
        ] {
            let found = read(provider_type, &headers(&pairs)).unwrap();
            assert_eq!(found.token, token.hash(), "{pairs:?}");
            assert!(found.own.is_none());
        }
    }

    #[test]
    fn bring_your_own_key_by_family() {
        let token = UserTokenSecret::generate(&Ambient::system());
        let both = |provider_type| {
            let map = headers(&[
                ("x-lychgate-token", token.expose()),
                ("authorization", "Bearer oauth-0123456789abcdef"),
                ("x-api-key", "sk-ant-0123456789abcdef"),
            ]);
            read(provider_type, &map).unwrap().own.unwrap()
        };
        let anthropic = both(ProviderType::Anthropic);
        assert_eq!((anthropic.name, anthropic.hint.as_str()), (X_API_KEY, "sk-a…cdef"));
        assert_eq!(anthropic.value, "sk-ant-0123456789abcdef");
        let openai = both(ProviderType::OpenAi);
        assert_eq!((&openai.name, openai.hint.as_str()), (&AUTHORIZATION, "oaut…cdef"));
        assert_eq!(openai.value, "Bearer oauth-0123456789abcdef");
        assert!(!format!("{openai:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn refusals_say_what_to_send_and_repeat_nothing() {
        let token = UserTokenSecret::generate(&Ambient::system());
        let bearer = format!("Bearer {}", token.expose());
        let mut typo = token.expose().to_owned();
        typo.replace_range(45.., if typo.ends_with('a') { "b" } else { "a" });
        for (pairs, says) in [
            (vec![], "no Lychgate token"),
            (vec![("authorization", "Bearer sk-someone")], "does not start with lgu_"),
            (vec![("authorization", "Basic abc")], "no Lychgate token"),
            (vec![("x-api-key", typo.as_str())], "checksum"),
            (
                vec![("x-lychgate-token", token.expose())],
                "bring your own provider key",
            ),
            (
                vec![("x-lychgate-token", token.expose()), ("authorization", bearer.as_str())],
                "bring your own provider key",
            ),
            (
                vec![("x-lychgate-token", token.expose()), ("x-api-key", "sk-openai")],
                "bring your own provider key",
            ),
        ] {
            let refusal = read(ProviderType::OpenAi, &headers(&pairs)).unwrap_err();
            assert_eq!(refusal.status, 401);
            assert!(refusal.message.contains(says), "{pairs:?}: {}", refusal.message);
            assert!(
                !refusal.message.contains(&typo) && !refusal.message.contains("sk-"),
                "{}",
                refusal.message
            );
        }
    }
}
