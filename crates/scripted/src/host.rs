//! Who offers the APIs: their makers, or clouds and resellers, each with paths, credentials and habits of its own.
//!
//! Not here: the APIs themselves (`families`).

use crate::families::{Family, has_bearer};
use crate::script::Script;
use http::HeaderMap;
use http::request::Parts;
use serde_json::Value;
use std::borrow::Cow;

/// Who offers an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Host {
    /// Who made it.
    #[default]
    Maker,
    /// `/openai/v1/…`, and with an `api-version` also `/openai/deployments/{model}/…` and `/openai/…`
    Azure,
    /// Anthropic's Messages below `/anthropic`, and nothing beside them
    Foundry,
    /// Messages at `/v1/projects/…/publishers/anthropic/models/{model}:rawPredict`, and what belongs to them
    Vertex,
    /// `/api/v1/…`
    OpenRouter,
}

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) host: Host,
    /// The path as the API's maker has it.
    pub(crate) path: Cow<'a, str>,
    /// The model, where the path names it.
    pub(crate) deployment: Option<&'a str>,
    /// It is there by `api-version` only.
    is_dated: bool,
}

impl<'a> Place<'a> {
    pub(crate) fn of(path: &'a str) -> Self {
        let place = |host, path: Cow<'a, str>, deployment, is_dated| Self {
            host,
            path,
            deployment,
            is_dated,
        };
        let below = |base: &str| path.strip_prefix(base).filter(|rest| rest.starts_with('/'));
        if let Some(rest) = below("/openai") {
            let deployed = rest.strip_prefix("/deployments/").and_then(|rest| rest.split_once('/'));
            return match deployed {
                Some((deployment, rest)) => place(Host::Azure, format!("/v1/{rest}").into(), Some(deployment), true),
                None if rest.starts_with("/v1/") => place(Host::Azure, rest.into(), None, false),
                None => place(Host::Azure, format!("/v1{rest}").into(), None, true),
            };
        }
        if let Some(rest) = below("/anthropic") {
            return place(Host::Foundry, rest.into(), None, false);
        }
        if let Some((_, asked)) =
            below("/v1/projects").and_then(|rest| rest.split_once("/publishers/anthropic/models/"))
        {
            let (model, _) = asked.rsplit_once(':').unwrap_or((asked, ""));
            return match model {
                "count-tokens" => place(Host::Vertex, "/v1/messages/count_tokens".into(), None, false),
                model => place(Host::Vertex, "/v1/messages".into(), Some(model), false),
            };
        }
        if let Some(rest) = below("/api").filter(|rest| rest.starts_with("/v1/")) {
            return place(Host::OpenRouter, rest.into(), None, false);
        }
        place(Host::Maker, path.into(), None, false)
    }

    /// Refuses a request without what the host wants to see of everyone.
    pub(crate) fn check(&self, family: &dyn Family, parts: &Parts) -> Result<(), Script> {
        match self.host {
            Host::Vertex if !has_bearer(&parts.headers) => {
                Err(family.error(401, "Request had invalid authentication credentials."))
            }
            Host::Vertex => Ok(()),
            Host::Maker | Host::OpenRouter => family.check_credential(&parts.headers),
            Host::Azure => self.check_azure(parts),
            Host::Foundry if !self.path.starts_with("/v1/messages") || self.path.contains("batches") => {
                Err(family.error(404, "Not found"))
            }
            Host::Foundry if has(&parts.headers, "api-key") => Ok(()),
            Host::Foundry => family.check_credential(&parts.headers),
        }
    }

    /// Refuses a body that is not as the host wants it.
    pub(crate) fn check_body(&self, family: &dyn Family, body: &Value) -> Result<(), Script> {
        if self.host != Host::Vertex {
            return Ok(());
        }
        // Of which clients send several: `vertex-2023-10-16`, and dates.
        if !body["anthropic_version"].is_string() {
            return Err(family.error(400, "anthropic_version: Field required"));
        }
        match (self.deployment, body.get("model")) {
            (Some(_), Some(_)) => Err(family.error(400, "model: Extra inputs are not permitted")),
            _ => Ok(()),
        }
    }

    fn check_azure(&self, parts: &Parts) -> Result<(), Script> {
        let refuse = |status: u16, code: &str, message: &str| {
            let body = format!(r#"{{"error":{{"code":"{code}","message":"{message}"}}}}"#);
            Err(Script::json(status, body))
        };
        if !has(&parts.headers, "api-key") && !has_bearer(&parts.headers) {
            let message = "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.";
            return refuse(401, "401", message);
        }
        let mut parameters = parts.uri.query().unwrap_or_default().split('&');
        let version = parameters.find_map(|parameter| parameter.strip_prefix("api-version="));
        match version {
            None if self.is_dated => refuse(404, "404", "Resource not found"),
            Some(version) if !self.is_dated && version != "preview" => {
                refuse(400, "BadRequest", "API version not supported")
            }
            _ => Ok(()),
        }
    }
}

impl Host {
    /// What a stream of Chat Completions begins with, before anything of the answer.
    pub(crate) fn first_event(self) -> Option<&'static str> {
        match self {
            Self::Maker | Self::Foundry | Self::Vertex => None,
            Self::OpenRouter => Some(": OPENROUTER PROCESSING\n\n"),
            Self::Azure => Some(concat!(
                r#"data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"#,
                r#""content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false}}}]}"#,
                "\n\n"
            )),
        }
    }

    /// Members of a usage object beside the counts.
    pub(crate) fn more_usage(self) -> &'static str {
        match self {
            Self::Maker | Self::Azure | Self::Foundry | Self::Vertex => "",
            Self::OpenRouter => {
                r#","cost":0.00014,"is_byok":false,"cost_details":{"upstream_inference_cost":null,"upstream_inference_prompt_cost":0.00004,"upstream_inference_completions_cost":0.0001}"#
            }
        }
    }
}

fn has(headers: &HeaderMap, name: &str) -> bool {
    headers.get(name).is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_tells_who_is_asked() {
        for (path, host, makers, deployment) in [
            ("/v1/chat/completions", Host::Maker, "/v1/chat/completions", None),
            ("/openai/v1/chat/completions", Host::Azure, "/v1/chat/completions", None),
            (
                "/openai/deployments/m/chat/completions",
                Host::Azure,
                "/v1/chat/completions",
                Some("m"),
            ),
            ("/openai/responses", Host::Azure, "/v1/responses", None),
            ("/anthropic/v1/messages", Host::Foundry, "/v1/messages", None),
            (
                "/v1/projects/p/locations/l/publishers/anthropic/models/claude-x@1:rawPredict",
                Host::Vertex,
                "/v1/messages",
                Some("claude-x@1"),
            ),
            ("/api/v1/models", Host::OpenRouter, "/v1/models", None),
            (
                "/api/event_logging/batch",
                Host::Maker,
                "/api/event_logging/batch",
                None,
            ),
            ("/openai", Host::Maker, "/openai", None),
        ] {
            let place = Place::of(path);
            assert_eq!(
                (place.host, &*place.path, place.deployment),
                (host, makers, deployment),
                "{path}"
            );
        }
    }
}
