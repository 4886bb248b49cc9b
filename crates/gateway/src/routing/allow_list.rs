//! Which paths are relayed: one allow-list per provider type. A list of what is allowed rather than of what is not, since a
//! central provider key may have an administrator's rights.
//!
//! Not here: the lists themselves (crate `wire`), and a provider's base URL (`provider`).

use crate::error::Refusal;
use http::header::UPGRADE;
use http::{HeaderMap, Method, StatusCode};
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::policy::RelayPolicy;
use lychgate_types::provider::{Api, ProviderType};
use lychgate_wire::provider::{AllowedPath, Family, ProviderDescription, describe};

/// A path on the list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    /// The API whose exchanges are recorded; `None` for what only passes through.
    pub(crate) api: Option<Api>,
    /// The object stored at the provider that the path names.
    pub(crate) object: Option<&'a str>,
    /// Its entry on the list.
    pub(crate) path: &'static AllowedPath,
    /// It lists what everybody has made with the same key.
    pub(crate) is_list: bool,
}

/// Whether a provider of one type takes the paths of another type's clients.
pub(crate) fn takes_paths_of(provider_type: ProviderType, clients: ProviderType) -> bool {
    provider_type == clients || describe(provider_type).has_paths_of(describe(clients))
}

/// `/ai/<provider>/<rest>` as `(provider, /rest)`.
pub(crate) fn split(path: &str) -> Option<(&str, &str)> {
    let after = path.strip_prefix("/ai/")?;
    let slash = after.find('/').unwrap_or(after.len());
    Some(after.split_at(slash))
}

/// What comes after the base URL of a provider of this type, with a leading slash, of what follows its name in a path.
pub(crate) fn tail(provider_type: ProviderType, rest: &str) -> &str {
    rest.strip_prefix(describe(provider_type).base_path).unwrap_or(rest)
}

/// Whether the client asks for a WebSocket.
pub(crate) fn wants_websocket(headers: &HeaderMap) -> bool {
    headers.get_all(UPGRADE).iter().any(|value| {
        value
            .as_bytes()
            .split(|b| *b == b',')
            .any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    })
}

/// The API that is spoken over a WebSocket on this path, and its entry.
pub(crate) fn find_websocket(provider_type: ProviderType, rest: &str) -> Option<(Api, &'static AllowedPath)> {
    let path = describe(provider_type).path(rest).filter(|path| path.websocket)?;
    Some((path.api?, path))
}

/// Looks a path up for a method; `rest` is what follows the provider's name.
pub(crate) fn find<'a>(
    provider_type: ProviderType,
    policy: &RelayPolicy,
    method: &Method,
    rest: &'a str,
) -> Result<Found<'a>, Refusal> {
    let provider = describe(provider_type);
    let path = provider.path(rest).ok_or_else(|| not_relayed(provider))?;
    let off = match path.api {
        Some(Api::OpenAiImages) if !policy.images => {
            Some("the provider's policy switches images off (relay.images=false)")
        }
        Some(Api::OpenAiAudio) if !policy.audio => Some("the provider's policy switches audio off (relay.audio=false)"),
        _ => switched_off(path.family, policy),
    };
    if let Some(message) = off {
        return Err(Refusal::new(StatusCode::NOT_FOUND, Refused::UnknownPath, message));
    }
    if !path.allows(method.as_str()) {
        return Err(Refusal::method(path.methods));
    }
    Ok(Found {
        api: path.recorded_as(method.as_str()),
        object: path.object_in(rest),
        path,
        is_list: path.lists && matches!(method.as_str(), "GET" | "HEAD"),
    })
}

fn switched_off(family: Option<Family>, policy: &RelayPolicy) -> Option<&'static str> {
    let (is_on, message) = match family? {
        Family::Files => (
            policy.files,
            "the provider's policy does not relay requests about files (relay.files=false, the default)",
        ),
        Family::Batches => (
            policy.batches,
            "the provider's policy does not relay requests about batches (relay.batches=false, the default)",
        ),
        Family::VectorStores => (
            policy.vector_stores,
            "the provider's policy does not relay requests about vector stores (relay.vector_stores=false, the default)",
        ),
        Family::Containers => (
            policy.containers,
            "the provider's policy does not relay requests about containers (relay.containers=false, the default)",
        ),
        Family::Skills => (
            policy.skills,
            "the provider's policy does not relay requests about skills (relay.skills=false, the default)",
        ),
    };
    (!is_on).then_some(message)
}

/// The methods of a path on the list, as an `Allow` header has them.
pub(crate) fn methods(provider_type: ProviderType, rest: &str) -> Option<&'static str> {
    describe(provider_type).path(rest).map(|path| path.methods)
}

/// Whether it is the path of a question that clients ask to see whether they can connect: the base URL, and one of Claude Code's.
pub(crate) fn is_probe(rest: &str) -> bool {
    matches!(rest, "" | "/" | "/api/hello")
}

/// Says what is relayed. Nothing of the client's own path is repeated.
fn not_relayed(provider: &ProviderDescription) -> Refusal {
    /// Strangers can ask, and some types have a hundred.
    const SHOWN: usize = 24;
    let paths: Vec<_> = provider.paths.iter().take(SHOWN).map(AllowedPath::to_string).collect();
    let message = format!(
        "this gateway does not relay that path; under /ai/<provider>{} it relays {}{}",
        provider.base_path,
        paths.join(", "),
        if provider.paths.len() > SHOWN {
            ", and others"
        } else {
            ""
        }
    );
    Refusal::new(StatusCode::NOT_FOUND, Refused::UnknownPath, message)
}

/// For a path that is not on the list: says which one was meant, where that can be told. For those whose token works, as it takes a search.
pub(crate) fn hint(provider_type: ProviderType, rest: &str) -> Option<Refusal> {
    let provider = describe(provider_type);
    if provider.path(rest).is_some() {
        return None;
    }
    let path = meant(provider, rest)?;
    let base = format!("/ai/<provider>{}", path.root);
    let message = format!(
        "this gateway does not relay that path; meant is probably /ai/<provider>{path}: the base URL ends in {base}, without a \
         slash behind it"
    );
    Some(Refusal::new(StatusCode::NOT_FOUND, Refused::UnknownPath, message))
}

/// The path on the list that a client with a wrong base URL meant: one with slashes too many, or with words of the list, as
/// `/v1`, too few or too many in front.
fn meant(provider: &ProviderDescription, rest: &str) -> Option<&'static AllowedPath> {
    /// Longer paths are on no list.
    const LONGEST: usize = 256;
    /// Words in front that may be too many.
    const SKIPPED: usize = 4;
    if rest.len() > LONGEST {
        return None;
    }
    let segments: Vec<_> = rest.split('/').filter(|segment| !segment.is_empty()).collect();
    let is_word = |segment: &&&str| provider.paths.iter().any(|path| path.has_word(segment));
    let words = segments.iter().take(SKIPPED).take_while(is_word).count();
    (0..=words).find_map(|skipped| {
        let tail = format!("/{}", segments.get(skipped..)?.join("/"));
        let mut paths = provider.paths.iter();
        let offering = || provider.paths.iter().find(|path| path.offers(&tail));
        paths
            .find(|path| path.matches(&tail))
            .or_else(offering)
            .or_else(|| provider.path(&format!("/v1{tail}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(provider_type: ProviderType, method: &str, rest: &str) -> Result<Option<Api>, u16> {
        look_under(&RelayPolicy::default(), provider_type, method, rest)
    }

    fn look_under(
        policy: &RelayPolicy,
        provider_type: ProviderType,
        method: &str,
        rest: &str,
    ) -> Result<Option<Api>, u16> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        find(provider_type, policy, &method, rest)
            .map(|found| found.api)
            .map_err(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn the_list_of_each_family() {
        use ProviderType::{Anthropic, AzureOpenAi, OpenAi, OpenAiCompatible};
        for (provider_type, method, rest, wanted) in [
            (Anthropic, "POST", "/v1/messages", Ok(Some(Api::AnthropicMessages))),
            (Anthropic, "POST", "/v1/messages/count_tokens", Ok(None)),
            (Anthropic, "GET", "/v1/models", Ok(None)),
            (Anthropic, "GET", "/v1/models/claude-x", Ok(None)),
            (Anthropic, "POST", "/api/event_logging/batch", Ok(None)),
            (Anthropic, "GET", "/v1/messages", Err(405)),
            (Anthropic, "DELETE", "/v1/models/claude-x", Err(405)),
            (Anthropic, "POST", "/v1/messages/", Err(404)),
            (Anthropic, "POST", "/v1/chat/completions", Err(404)),
            (Anthropic, "GET", "/v1/organizations/users", Err(404)),
            (Anthropic, "GET", "", Err(404)),
            (
                OpenAi,
                "POST",
                "/v1/chat/completions",
                Ok(Some(Api::OpenAiChatCompletions)),
            ),
            (
                OpenAiCompatible,
                "POST",
                "/v1/responses",
                Ok(Some(Api::OpenAiResponses)),
            ),
            (OpenAi, "POST", "/v1/embeddings", Ok(Some(Api::OpenAiEmbeddings))),
            (OpenAi, "POST", "/v1/responses/compact", Ok(Some(Api::OpenAiResponses))),
            (OpenAi, "POST", "/v1/responses/", Err(404)),
            (OpenAi, "POST", "/v1/responses//", Err(404)),
            (OpenAi, "POST", "/v1/responses/;a=b", Err(404)),
            (OpenAi, "POST", "/v1/responses/%20", Err(404)),
            (OpenAi, "POST", "/v1/responses/compact/", Err(404)),
            (OpenAi, "POST", "/v1/responses/x", Err(405)),
            (OpenAi, "GET", "/v1/responses/compact", Err(405)),
            (OpenAi, "POST", "/v1/responses/input_tokens", Ok(None)),
            (OpenAi, "POST", "/v1/responses/resp_1/input_tokens", Err(404)),
            (OpenAi, "GET", "/v1/responses/resp_1/input_items", Ok(None)),
            (OpenAi, "POST", "/v1/moderations", Ok(None)),
            (OpenAi, "POST", "/v1/completions", Ok(Some(Api::OpenAiCompletions))),
            (OpenAi, "POST", "/v1/images/edits", Ok(Some(Api::OpenAiImages))),
            (OpenAi, "GET", "/v1/images/generations", Err(405)),
            (OpenAi, "POST", "/v1/audio/speech", Ok(Some(Api::OpenAiAudio))),
            (OpenAi, "POST", "/v1/audio/voices", Err(404)),
            (OpenAi, "GET", "/v1/conversations", Err(405)),
            (OpenAi, "HEAD", "/v1/models", Ok(None)),
            (
                OpenAi,
                "POST",
                "/v1/responses/resp_1/cancel",
                Ok(Some(Api::OpenAiObjects)),
            ),
            (OpenAi, "GET", "/v1/responses/resp_1", Ok(None)),
            (OpenAi, "POST", "/v1/conversations", Ok(Some(Api::OpenAiObjects))),
            (OpenAi, "DELETE", "/v1/responses/resp_1", Ok(Some(Api::OpenAiObjects))),
            (OpenAi, "GET", "/v1/models/org%2Fmodel", Ok(None)),
            (OpenAi, "GET", "/v1/conversations/c/items", Ok(None)),
            (OpenAi, "PATCH", "/v1/conversations", Err(405)),
            (OpenAi, "GET", "/v1/responses", Err(405)),
            (OpenAi, "POST", "/chat/completions", Err(404)),
            (OpenAi, "GET", "/v1/fine_tuning/jobs", Err(404)),
            (OpenAi, "GET", "/v1/organization/admin_api_keys", Err(404)),
            (OpenAi, "POST", "/v1/messages", Err(404)),
            (OpenAi, "POST", "/openai/v1/chat/completions", Err(404)),
            (
                AzureOpenAi,
                "POST",
                "/openai/v1/chat/completions",
                Ok(Some(Api::OpenAiChatCompletions)),
            ),
            (
                AzureOpenAi,
                "POST",
                "/openai/deployments/gpt-5/chat/completions",
                Ok(Some(Api::OpenAiChatCompletions)),
            ),
            (
                AzureOpenAi,
                "POST",
                "/openai/deployments/whisper/audio/transcriptions",
                Ok(Some(Api::OpenAiAudio)),
            ),
            (AzureOpenAi, "POST", "/openai/responses", Ok(Some(Api::OpenAiResponses))),
            (AzureOpenAi, "GET", "/openai/responses/resp_1", Ok(None)),
            (AzureOpenAi, "GET", "/openai/models", Ok(None)),
            (
                AzureOpenAi,
                "GET",
                "/openai/deployments/gpt-5/chat/completions",
                Err(405),
            ),
            (AzureOpenAi, "POST", "/openai/deployments/gpt-5/responses", Err(404)),
            (AzureOpenAi, "GET", "/openai/deployments", Err(404)),
            (AzureOpenAi, "POST", "/openai/deployments/../chat/completions", Err(404)),
            (
                AzureOpenAi,
                "POST",
                "/openai/deployments/a%2F..%2Fb/chat/completions",
                Err(404),
            ),
            (AzureOpenAi, "POST", "/openai/deployments//chat/completions", Err(404)),
            (AzureOpenAi, "POST", "/v1/chat/completions", Err(404)),
        ] {
            assert_eq!(look(provider_type, method, rest), wanted, "{method} {rest}");
        }
    }

    #[test]
    fn families_of_stored_objects_are_off_until_switched_on() {
        use ProviderType::{Anthropic, OpenAi};
        let mut on = RelayPolicy::default();
        for family in [
            &mut on.files,
            &mut on.batches,
            &mut on.vector_stores,
            &mut on.containers,
            &mut on.skills,
        ] {
            *family = true;
        }
        for (provider_type, method, rest, wanted) in [
            (
                Anthropic,
                "POST",
                "/v1/messages/batches",
                Ok(Some(Api::AnthropicObjects)),
            ),
            (Anthropic, "POST", "/v1/files", Ok(Some(Api::AnthropicObjects))),
            (Anthropic, "GET", "/v1/files/file_1/content", Ok(None)),
            (
                Anthropic,
                "DELETE",
                "/v1/skills/skill_1/versions/1",
                Ok(Some(Api::AnthropicObjects)),
            ),
            (Anthropic, "PUT", "/v1/files", Err(405)),
            (OpenAi, "GET", "/v1/files", Ok(None)),
            (OpenAi, "POST", "/v1/files", Ok(Some(Api::OpenAiObjects))),
            (OpenAi, "GET", "/v1/uploads", Err(405)),
            (OpenAi, "GET", "/v1/batches", Ok(None)),
            (
                OpenAi,
                "POST",
                "/v1/vector_stores/vs_1/search",
                Ok(Some(Api::OpenAiObjects)),
            ),
            (OpenAi, "GET", "/v1/containers/c/files/f/content", Ok(None)),
            (OpenAi, "POST", "/v1/skills/s/versions/1", Err(405)),
        ] {
            assert_eq!(look_under(&on, provider_type, method, rest), wanted, "{method} {rest}");
            assert_eq!(look(provider_type, method, rest), Err(404), "{method} {rest}");
        }
    }

    #[test]
    fn no_path_climbs_out_of_its_entry() {
        for rest in [
            "/v1/models/../files",
            "/v1/models/./x",
            "/v1/models/%2e%2e/files",
            "/v1/models/.%2E/files",
            "/v1/models/..%2ffiles",
            "/v1/models/..\\files",
            "/v1/models/..%5cfiles",
            "/v1/models/%252e%252e/files",
            "/v1/models/..;x/files",
            "/v1/models/%2e.%3bx/files",
            "/v1/models/%zz",
            "/v1/models/%2",
            "/v1/models/..%20/files",
            "/v1/models/..%20",
            "/v1/models/..%00",
            "/v1/models/%c0%ae%c0%ae/files",
            "/v1/models/%ef%bc%8e%ef%bc%8e/files",
            "/v1/models/\u{ff0e}\u{ff0e}/files",
            "/v1/models//files",
            "/v1/models/x%2F..%2Ffiles",
            "/v1/models/x%2F%2e%2e%2Ffiles",
        ] {
            assert_eq!(look(ProviderType::OpenAi, "GET", rest), Err(404), "{rest}");
        }
        assert_eq!(look(ProviderType::OpenAi, "GET", "/v1/models/gpt-4.1..x"), Ok(None));
    }

    #[test]
    fn a_wrong_base_url_is_told_the_right_one() {
        for (provider_type, rest, says) in [
            (
                ProviderType::OpenAi,
                "/v1//chat/completions",
                "/ai/<provider>/v1/chat/completions:",
            ),
            (
                ProviderType::OpenAi,
                "/v1/chat/completions/",
                "/ai/<provider>/v1/chat/completions:",
            ),
            (ProviderType::OpenAi, "/chat/completions", "ends in /ai/<provider>/v1,"),
            (
                ProviderType::Anthropic,
                "/v1/v1/messages",
                "/ai/<provider>/v1/messages: the base URL ends in /ai/<provider>,",
            ),
            (ProviderType::Anthropic, "//messages", "/ai/<provider>/v1/messages:"),
            (
                ProviderType::Anthropic,
                "/v1/messages/v1/messages",
                "/ai/<provider>/v1/messages: the base URL ends in /ai/<provider>,",
            ),
            (
                ProviderType::AzureOpenAi,
                "/v1/chat/completions",
                "/ai/<provider>/openai/v1/chat/completions: the base URL ends in /ai/<provider>/openai/v1,",
            ),
            (
                ProviderType::AzureOpenAi,
                "/openai/openai/deployments/m/chat/completions",
                "/ai/<provider>/openai/deployments/{model}/chat/completions:",
            ),
            (ProviderType::Anthropic, "/v1/agents", "it relays /v1/messages, "),
            (ProviderType::Anthropic, "", "it relays /v1/messages, "),
        ] {
            let plain = find(provider_type, &RelayPolicy::default(), &Method::POST, rest).unwrap_err();
            assert!(plain.message.contains(" it relays /"));
            let refusal = hint(provider_type, rest).unwrap_or(plain);
            assert!(refusal.message.contains(says), "{rest}: {}", refusal.message);
        }
    }

    #[test]
    fn names_and_websockets() {
        assert_eq!(split("/ai/openai/v1/models"), Some(("openai", "/v1/models")));
        assert_eq!(split("/ai/openai"), Some(("openai", "")));
        assert_eq!(split("/api/v1"), None);
        let mut headers = HeaderMap::new();
        assert!(!wants_websocket(&headers));
        headers.insert(UPGRADE, "h2c, WebSocket".parse().unwrap());
        assert!(wants_websocket(&headers));
    }
}
