//! Lists of models as OpenAI's API has them, and as Codex wants them.

use crate::format::ListFormat;
use crate::json::edit::{place_of, replace};
use crate::json::{self, Raw, members};
use crate::model_list::{Model, joined};
use serde_json::Value;

/// The list of OpenAI's API.
#[derive(Debug)]
pub(crate) struct Models;

/// What Codex asks for: what it has to know of a model in order to use it. One entry without a member that it needs would cost it
/// the whole list, so none is made up: a name of the operator's own has the entry of the model that it stands for.
#[derive(Debug)]
pub(crate) struct CodexModels;

/// For a client that does not say which version it is: what Codex says of itself when it was built from source.
const NEWEST: &str = "99.99.99";

impl ListFormat for Models {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn query(&self, _version: &str, _after: Option<&str>) -> String {
        String::new()
    }

    fn alias(&self, name: &str, _original: Option<&str>) -> Option<String> {
        let name = Value::from(name);
        Some(format!(
            r#"{{"id":{name},"object":"model","created":0,"owned_by":"lychgate"}}"#
        ))
    }

    fn list(&self, models: &[&Model], _query: Option<&str>) -> String {
        format!(r#"{{"object":"list","data":[{}]}}"#, joined(models))
    }
}

impl ListFormat for CodexModels {
    fn name(&self) -> &'static str {
        "codex"
    }

    fn members(&self) -> (&'static str, &'static str) {
        ("models", "slug")
    }

    fn has_versions(&self) -> bool {
        true
    }

    /// Servers that do not know Codex answer with OpenAI's list, in which there is nothing for it.
    fn needs_list(&self) -> bool {
        false
    }

    fn query(&self, version: &str, _after: Option<&str>) -> String {
        let version = if version.is_empty() { NEWEST } else { version };
        format!("client_version={version}")
    }

    fn alias(&self, name: &str, original: Option<&str>) -> Option<String> {
        let original = original?;
        let entry: Entry<'_> = json::object(original.as_bytes())?;
        let place = place_of(entry.slug, original.as_bytes())?;
        let name = Value::from(name).to_string();
        String::from_utf8(replace(original.as_bytes(), place, name.as_bytes())).ok()
    }

    fn list(&self, models: &[&Model], _query: Option<&str>) -> String {
        format!(r#"{{"models":[{}]}}"#, joined(models))
    }
}

members! {
    struct Entry<'de> { slug: Raw<'de> = b"slug", }
}

#[cfg(test)]
mod tests {
    use crate::client::{CODEX, UNKNOWN};
    use crate::model_list::tests::{list, with_aliases};
    use crate::model_list::{Alias, ModelQuestion};
    use lychgate_types::provider::WireFamily::OpenAi;

    fn alias<'a>(name: &'a str, stands_for: &'a str) -> Alias<'a> {
        Alias {
            name,
            stands_for: Some(stands_for),
        }
    }

    #[test]
    fn the_api_has_a_plain_list() {
        let question = ModelQuestion::new(OpenAi, UNKNOWN, Some("limit=1")).unwrap();
        assert_eq!((question.key(), question.query(None).as_str()), (("openai", ""), ""));
        let page = question
            .read(br#"{"object":"list","data":[ {"id":"gpt-x","object":"model","x":[1.0]} ,{"object":"model"}],"has_more":true,"last_id":"gpt-x"}"#)
            .unwrap();
        assert_eq!(page.next, None, "the API has no pages");
        let all = with_aliases(
            &question,
            page.models,
            &[alias("fast", "gpt-x"), alias("gpt-x", "gpt-y")],
        );
        assert_eq!(
            list(&question, &all, Some("limit=1")),
            r#"{"object":"list","data":[{"id":"gpt-x","object":"model","x":[1.0]},{"id":"fast","object":"model","created":0,"owned_by":"lychgate"}]}"#
        );
        for none in ["", "[]", "{}", r#"{"models":[]}"#] {
            assert_eq!(question.read(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn codex_has_its_own_known_by_its_name_or_its_question() {
        for (client, query, version) in [
            (CODEX, Some("client_version=0.44.0"), "client_version=0.44.0"),
            (UNKNOWN, Some("client_version=0.44.0"), "client_version=0.44.0"),
            (CODEX, None, "client_version=99.99.99"),
            (CODEX, Some("client_version="), "client_version=99.99.99"),
            (CODEX, Some("client_version=a%26b"), "client_version=99.99.99"),
        ] {
            let question = ModelQuestion::new(OpenAi, client, query).unwrap();
            assert_eq!((question.key().0, question.query(None).as_str()), ("codex", version));
            let entry = r#"{"slug":"gpt-x", "display_name":"GPT X","priority":1}"#;
            let body = format!(r#"{{"models":[{entry}],"data":[{{"id":"y"}}]}}"#);
            let models = question.read(body.as_bytes()).unwrap().models;
            let all = with_aliases(&question, models, &[alias("fast", "gpt-x"), alias("other", "gpt-y")]);
            assert_eq!(
                list(&question, &all, query),
                format!(r#"{{"models":[{entry},{}]}}"#, entry.replace("gpt-x", "fast"))
            );
            let none = question.read(br#"{"object":"list","data":[{"id":"gpt-x"}]}"#).unwrap();
            assert_eq!(list(&question, &none.models, query), r#"{"models":[]}"#);
        }
    }
}
