//! What a request's URL may have behind it: no secret of Lychgate's, no credential, and only the parameters that its provider's type
//! lists, where it lists them.
//!
//! Not here: which paths are relayed (`routing::allow_list`), and credentials in headers (`credentials`).

use crate::error::Refusal;
use http::{StatusCode, Uri};
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::holds_secret_escaped;
use lychgate_wire::provider::{Parameter, ProviderDescription, describe, is_parameter};

/// Refuses a request with one of Lychgate's secrets in its path or query, where the provider and everything on the way there
/// would read and log it, one with any credential where the provider would take it from the query, and one whose query has a
/// parameter that the provider type does not allow.
pub(crate) fn check(provider_type: ProviderType, target: &Uri) -> Result<(), Refusal> {
    let query = target.query().unwrap_or_default();
    if !holds_secret_escaped(target.path().as_bytes()) && !holds_secret_escaped(query.as_bytes()) {
        let description = describe(provider_type);
        refuse_in_query(description.credentials.query, query)?;
        return if description.allows_query(query) {
            Ok(())
        } else {
            Err(unknown_parameter(description))
        };
    }
    let message = "a Lychgate token is in this request's URL, where every log on the way can have it: send it in a header, \
                   Authorization: Bearer or x-api-key, and make a new one if this URL was shared or logged";
    Err(Refusal::unauthorized(Refused::CredentialMissing, message))
}

/// Nothing of the query is repeated: there may be a credential in it.
fn unknown_parameter(description: &ProviderDescription) -> Refusal {
    let shown = |parameter: &Parameter| match parameter.values {
        [] => parameter.name.to_owned(),
        values => format!("{}={}", parameter.name, values.join("|")),
    };
    let allowed: Vec<_> = description.query.unwrap_or_default().iter().map(shown).collect();
    let allowed = if allowed.is_empty() {
        "none".to_owned()
    } else {
        allowed.join(", ")
    };
    let message = format!(
        "this URL has a parameter that the gateway does not relay, or one that is spelled otherwise: it relays {allowed}; credentials \
         belong in headers"
    );
    Refusal::new(StatusCode::BAD_REQUEST, Refused::UnknownPath, message)
}

fn refuse_in_query(names: &[&str], query: &str) -> Result<(), Refusal> {
    if names.is_empty() {
        return Ok(());
    }
    let sent = |parameter: &str| names.iter().any(|name| is_parameter(parameter, name));
    if !query.split(['&', ';']).any(sent) {
        return Ok(());
    }
    let message = format!(
        "this URL has one of the parameters {}, which are for credentials, and every log on the way can have it: send the Lychgate \
         token in a header, and make a new key if this was one",
        names.join(", ")
    );
    Err(Refusal::unauthorized(Refused::CredentialMissing, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lychgate_types::Ambient;
    use lychgate_types::secret::UserTokenSecret;

    #[test]
    fn a_token_in_a_url_is_refused_and_not_repeated() {
        let token = UserTokenSecret::generate(&Ambient::system());
        let token = token.expose();
        let escaped: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for target in [
            format!("/ai/openai/v1/models?key={token}"),
            format!("/ai/openai/v1/models?a=1&api_key={escaped}"),
            format!("/ai/openai/v1/models/{token}"),
        ] {
            let refusal = check(ProviderType::OpenAi, &target.parse().unwrap()).unwrap_err();
            assert_eq!(refusal.status, 401);
            assert!(refusal.message.contains("in a header") && !refusal.message.contains(token));
        }
        let plain = "/ai/openai/v1/models?key=sk-lgu_x".parse().unwrap();
        assert!(check(ProviderType::OpenAi, &plain).is_ok());
    }

    #[test]
    fn where_a_provider_takes_credentials_in_urls_none_is_let_through() {
        for (query, is_refused) in [
            ("key=AIza0123", true),
            ("alt=sse&key=", true),
            ("key", true),
            ("KEY=x", true),
            ("%6bey=x", true),
            ("k%65%79=x", true),
            ("alt=sse&access_token=ya29", true),
            ("a=1;oauth_token=x", true),
            ("alt=sse", false),
            ("", false),
        ] {
            let target: Uri = format!("/ai/gemini/v1beta/models?{query}").parse().unwrap();
            let found = check(ProviderType::Gemini, &target);
            assert_eq!(found.is_err(), is_refused, "{query}");
            if let Err(refusal) = found {
                assert!(
                    refusal.status == 401 && !refusal.message.contains("AIza"),
                    "{}",
                    refusal.message
                );
            }
        }
    }

    #[test]
    fn where_a_query_has_a_list_nothing_else_is_let_through() {
        for (query, is_refused) in [
            ("alt=json&pageSize=5&pageToken=a%2Fb", false),
            ("&alt=sse&", false),
            ("prettyPrint=false", false),
            ("fields=candidates", true),
            ("alt=sse&fields=candidates,usageMetadata.promptTokenCount", true),
            ("alt=sse;fields=x", true),
            ("%24fields=x", true),
            ("$fields=x", true),
            ("$key=AIza0123", true),
            ("%24key=AIza0123", true),
            ("passwd=AIza0123", true),
            ("quotaUser=x", true),
            ("$userProject=x", true),
            ("alt=proto", true),
            ("alt=media", true),
            ("alt", true),
            ("alt=sse&alt=proto", true),
            ("alt=s%73e", true),
            ("%61lt=sse", true),
            ("ALT=sse", true),
            ("callback=f", true),
            ("keys=x&monkey=y&k=key", true),
        ] {
            let target: Uri = format!("/ai/gemini/v1beta/models?{query}").parse().unwrap();
            let found = check(ProviderType::Gemini, &target);
            assert_eq!(found.is_err(), is_refused, "{query}");
            if let Err(refusal) = found {
                assert!(refusal.status == 400 && !refusal.message.contains("AIza"), "{query}");
                assert!(refusal.message.contains("alt=sse|json"), "{}", refusal.message);
            }
            assert!(check(ProviderType::OpenAi, &target).is_ok(), "{query}");
        }
    }
}
