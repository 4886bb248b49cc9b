//! The credentials in a request's headers: the user token, and with it perhaps the user's own provider credential.
//!
//! Not here: where each provider type has them (crate `wire`), whether the token is valid (`leases`), and putting a credential
//! into what goes upstream (`exchange::headers`).

use crate::auth::signatures::{is_signature, is_signed, signature_not_passed_on, signed_without_token};
use crate::error::Refusal;
use crate::signing::Signer;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{AUTHORIZATION, InvalidHeaderValue};
use http::{HeaderMap, HeaderName, HeaderValue};
use lychgate_link::DenyReason;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::{
    GatewayKeyKind, Kind, ProviderSecret, SecretHash, UserTokenKind, UserTokenSecret, holds_secret,
};
use lychgate_wire::provider::{CredentialHeader, OTHER_CREDENTIAL_HEADERS, bearer, describe};
use std::sync::Arc;

/// Carries the user token when the usual headers carry the user's own provider credential.
pub(super) const X_LYCHGATE_TOKEN: HeaderName = HeaderName::from_static("x-lychgate-token");

/// As lenient as any reader of `Basic` credentials.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

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
    used: Use,
}

/// What a credential is. One word of two, since futures hold it.
#[derive(Debug, Clone)]
enum Use {
    /// It is sent. First and last characters, for the record.
    Sent(Box<str>),
    /// A signature of the whole request goes in the place of the value.
    Signs(Arc<Signer>),
}

impl Outgoing {
    /// A central key, as providers of this type expect it.
    ///
    /// # Errors
    /// It has characters that a header can't have.
    pub(crate) fn central(provider_type: ProviderType, key: &ProviderSecret) -> Result<Self, InvalidHeaderValue> {
        let header = describe(provider_type).credentials.central_key;
        let value = HeaderValue::from_str(&header.value(key.expose()))?;
        Ok(Self::new(header.name, value, key))
    }

    /// A credential that was fetched; the hint says whose it is.
    ///
    /// # Errors
    /// It has characters that a header can't have.
    pub(crate) fn fetched(credential: &ProviderSecret, hint: String) -> Result<Self, InvalidHeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", credential.expose()))?;
        value.set_sensitive(true);
        Ok(Self {
            name: AUTHORIZATION,
            value,
            used: Use::Sent(hint.into()),
        })
    }

    /// A central key with which requests are signed.
    pub(crate) fn signing(signer: Signer) -> Self {
        Self {
            name: AUTHORIZATION,
            value: HeaderValue::from_static(""),
            used: Use::Signs(Arc::new(signer)),
        }
    }

    /// First and last characters of the credential, or of the id of the key that signs; for the record.
    pub(crate) fn hint(&self) -> &str {
        match &self.used {
            Use::Sent(hint) => hint,
            Use::Signs(signer) => signer.hint(),
        }
    }

    /// What signs requests.
    pub(crate) fn signer(&self) -> Option<&Signer> {
        match &self.used {
            Use::Sent(_) => None,
            Use::Signs(signer) => Some(signer),
        }
    }

    /// The provider credential that the client sends for itself. What has one of Lychgate's own secrets in it, or what was meant
    /// for one, never counts: those do not go upstream, whatever header they are in.
    fn own(provider_type: ProviderType, headers: &HeaderMap) -> Option<Self> {
        let pick = |name: &&'static str| {
            let value = headers.get(*name)?;
            let text = bearer(value.as_bytes()).unwrap_or(value.as_bytes()).trim_ascii();
            let ours = [UserTokenKind::PREFIX, GatewayKeyKind::PREFIX]
                .iter()
                .any(|prefix| text.starts_with(prefix.as_bytes()));
            if text.is_empty() || ours || is_signature(text) || holds_own_secret(value.as_bytes()) {
                return None;
            }
            let key = ProviderSecret::new(String::from_utf8_lossy(text).into_owned());
            Some(Self::new(name, value.clone(), &key))
        };
        describe(provider_type).credentials.own_key.iter().find_map(pick)
    }

    fn new(name: &'static str, mut value: HeaderValue, key: &ProviderSecret) -> Self {
        value.set_sensitive(true);
        Self {
            name: HeaderName::from_static(name),
            value,
            used: Use::Sent(key.hint().into()),
        }
    }
}

/// Reads the credentials. A token whose checksum does not match is refused here, without asking the control plane.
pub(crate) fn read(provider_type: ProviderType, headers: &HeaderMap) -> Result<Credentials, Refusal> {
    if let Some(value) = headers.get(X_LYCHGATE_TOKEN) {
        let token = parse(value.as_bytes())?;
        let own = Outgoing::own(provider_type, headers).ok_or_else(|| match is_signed(headers) {
            true => signature_not_passed_on(),
            false => own_key_missing(provider_type),
        })?;
        return Ok(Credentials { token, own: Some(own) });
    }
    // Clients send stray provider keys along: the first user token counts, else the first credential.
    let sent = |header: &CredentialHeader| {
        let credential = header.credential(headers.get(header.name)?.as_bytes())?;
        // Some clients send the header of a key that they don't have.
        (!credential.is_empty()).then_some(credential)
    };
    let usual = describe(provider_type).credentials.token.iter();
    let mut found = usual.chain(OTHER_CREDENTIAL_HEADERS).filter_map(sent);
    let token = found
        .clone()
        .find(|text| text.starts_with(UserTokenKind::PREFIX.as_bytes()))
        .or_else(|| found.next());
    match token {
        Some(token) => Ok(Credentials {
            token: parse(token)?,
            own: None,
        }),
        None if is_signed(headers) => Err(signed_without_token()),
        None => Err(token_missing(provider_type)),
    }
}

/// Whether one of Lychgate's secrets is in a header's value, also as the user or the password of `Basic`.
pub(crate) fn holds_own_secret(value: &[u8]) -> bool {
    holds_secret(value) || basic(value).is_some_and(|decoded| holds_secret(&decoded))
}

fn basic(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = value.split_at_checked(b"basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    BASE64.decode(rest.trim_ascii()).ok()
}

fn token_missing(provider_type: ProviderType) -> Refusal {
    let example = |header: &CredentialHeader| format!("{}: {}", header.name, header.value("lgu_…"));
    let headers: Vec<_> = describe(provider_type).credentials.token.iter().map(example).collect();
    let message = format!(
        "no Lychgate token: send it as {}, or in {X_LYCHGATE_TOKEN} beside a provider key of your own",
        headers.join(" or ")
    );
    Refusal::unauthorized(Refused::CredentialMissing, message)
}

fn own_key_missing(provider_type: ProviderType) -> Refusal {
    let message = format!(
        "{X_LYCHGATE_TOKEN} means that you bring your own provider key: send that key in {}, or send the Lychgate token there \
         instead to use the platform's key",
        describe(provider_type).credentials.own_key.join(" or ")
    );
    Refusal::unauthorized(Refused::CredentialMissing, message)
}

/// The answer to a request with a token that the control plane denies.
pub(crate) fn denied(reason: DenyReason) -> Refusal {
    let (reason, message) = match reason {
        DenyReason::Unknown => (
            Refused::TokenUnknown,
            "this Lychgate token is not known: it may belong to another deployment; make one with `lychgate tokens create`, or ask for one",
        ),
        DenyReason::Expired => (
            Refused::TokenExpired,
            "this Lychgate token has expired; make a new one with `lychgate tokens create`, or ask for one",
        ),
        DenyReason::Revoked => (
            Refused::TokenRevoked,
            "this Lychgate token was revoked; make a new one with `lychgate tokens create`, or ask for one",
        ),
        DenyReason::Suspended => (
            Refused::UserSuspended,
            "the user of this Lychgate token is suspended; ask an owner of the deployment",
        ),
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

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::AUTHORIZATION;
    use lychgate_types::Ambient;

    const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn where_the_token_may_be() {
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
            (ProviderType::OpenAiCompatible, vec![("api-key", token.expose())]),
            (ProviderType::Anthropic, vec![("x-goog-api-key", token.expose())]),
            (ProviderType::Gemini, vec![("x-goog-api-key", token.expose())]),
            (
                ProviderType::Gemini,
                vec![("x-goog-api-key", ""), ("authorization", bearer.as_str())],
            ),
            (
                ProviderType::Gemini,
                vec![("x-goog-api-key", token.expose()), ("authorization", bearer.as_str())],
            ),
            (
                ProviderType::OpenAi,
                vec![("authorization", "Bearer sk-stray"), ("api-key", token.expose())],
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
        assert_eq!((anthropic.name.clone(), anthropic.hint()), (X_API_KEY, "sk-a…cdef"));
        assert_eq!(anthropic.value, "sk-ant-0123456789abcdef");
        let openai = both(ProviderType::OpenAi);
        assert_eq!((&openai.name, openai.hint()), (&AUTHORIZATION, "oaut…cdef"));
        assert_eq!(openai.value, "Bearer oauth-0123456789abcdef");
        assert!(!format!("{openai:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn nothing_with_a_secret_of_ours_in_it_is_a_users_own_key() {
        let token = UserTokenSecret::generate(&Ambient::system());
        let token = token.expose();
        let basic = format!(
            "bAsic {}",
            base64::prelude::BASE64_STANDARD.encode(format!("user:{token}"))
        );
        for value in [
            token.to_owned(),
            format!("Bearer {token}"),
            format!("Bearer\t{token}"),
            format!("Bearer a,{token}"),
            format!("Token {token}"),
            basic.trim_end_matches('=').to_owned(),
            basic,
        ] {
            for provider_type in ProviderType::ALL {
                let map = headers(&[("x-lychgate-token", token), ("authorization", &value)]);
                let refusal = read(*provider_type, &map).unwrap_err();
                assert!(
                    refusal.message.contains("bring your own provider key"),
                    "{}",
                    refusal.message
                );
            }
        }
        let map = headers(&[("x-lychgate-token", token), ("authorization", "Basic dXNlcjpwYXNz")]);
        assert!(read(ProviderType::OpenAiCompatible, &map).unwrap().own.is_some());
    }

    #[test]
    fn a_signature_is_neither_a_token_nor_a_key_to_pass_on() {
        const SIGNED: &str =
            "AWS4-HMAC-SHA256 Credential=AKIA/20261130/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0";
        let token = UserTokenSecret::generate(&Ambient::system());
        for provider_type in ProviderType::ALL {
            let refusal = read(*provider_type, &headers(&[("authorization", SIGNED)])).unwrap_err();
            assert_eq!(refusal.status, 403);
            assert!(
                refusal.message.contains("AWS_BEARER_TOKEN_BEDROCK"),
                "{}",
                refusal.message
            );
            let map = headers(&[("x-lychgate-token", token.expose()), ("authorization", SIGNED)]);
            if describe(*provider_type).credentials.own_key == ["authorization"] {
                let refusal = read(*provider_type, &map).unwrap_err();
                assert_eq!(refusal.status, 403);
                assert!(refusal.message.contains("can't be passed on"), "{}", refusal.message);
            }
            let map = headers(&[("authorization", SIGNED), ("x-api-key", token.expose())]);
            let sent_elsewhere = read(*provider_type, &map);
            let takes_it = describe(*provider_type)
                .credentials
                .token
                .iter()
                .any(|header| header.name == "x-api-key");
            assert_eq!(sent_elsewhere.is_ok(), takes_it, "{provider_type}");
        }
        let key = headers(&[
            ("x-lychgate-token", token.expose()),
            ("authorization", "Bearer ABSKQmVkcm9jaw=="),
        ]);
        assert!(read(ProviderType::Bedrock, &key).unwrap().own.is_some());
    }

    #[test]
    fn central_keys_go_where_the_provider_expects_them() {
        let key = ProviderSecret::new("sk-central-0123456789".to_owned());
        for (provider_type, name, value) in [
            (ProviderType::Anthropic, X_API_KEY, "sk-central-0123456789"),
            (
                ProviderType::Gemini,
                HeaderName::from_static("x-goog-api-key"),
                "sk-central-0123456789",
            ),
            (ProviderType::OpenAi, AUTHORIZATION, "Bearer sk-central-0123456789"),
            (
                ProviderType::OpenAiCompatible,
                AUTHORIZATION,
                "Bearer sk-central-0123456789",
            ),
        ] {
            let central = Outgoing::central(provider_type, &key).unwrap();
            assert_eq!((central.name.clone(), central.value.to_str().unwrap()), (name, value));
            assert!(central.value.is_sensitive());
            assert_eq!(central.hint(), "sk-c…6789");
        }
    }

    #[test]
    fn refusals_say_what_to_send_and_repeat_nothing() {
        let token = UserTokenSecret::generate(&Ambient::system());
        let bearer = format!("Bearer {}", token.expose());
        let mut typo = token.expose().to_owned();
        typo.replace_range(45.., if typo.ends_with('a') { "b" } else { "a" });
        for (pairs, says) in [
            (
                vec![],
                "no Lychgate token: send it as authorization: Bearer lgu_… or x-api-key: lgu_…, or in",
            ),
            (vec![("authorization", "Bearer sk-someone")], "does not start with lgu_"),
            (vec![("authorization", "Basic abc")], "no Lychgate token"),
            (vec![("x-goog-api-key", "")], "no Lychgate token"),
            (vec![("x-api-key", typo.as_str())], "checksum"),
            (
                vec![("x-lychgate-token", token.expose())],
                "bring your own provider key: send that key in authorization, or",
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
