//! Anthropic's lists of models, which come in pages.

use crate::format::ListFormat;
use crate::model_list::{Model, joined, parameter};
use serde_json::Value;

/// Anthropic's list.
#[derive(Debug)]
pub(crate) struct Models;

/// Of a page for a client that does not say.
const PAGE: usize = 20;
/// Most that a page has.
const LARGEST_PAGE: usize = 1000;

impl ListFormat for Models {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn query(&self, _version: &str, after: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &LARGEST_PAGE.to_string());
        if let Some(after) = after {
            query.append_pair("after_id", after);
        }
        query.finish()
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("anthropic-version", "2023-06-01")]
    }

    fn has_pages(&self) -> bool {
        true
    }

    fn parameters(&self) -> &'static [&'static str] {
        &["limit", "after_id", "before_id", "beta"]
    }

    fn alias(&self, name: &str, _original: Option<&str>) -> Option<String> {
        let name = Value::from(name);
        Some(format!(
            r#"{{"type":"model","id":{name},"display_name":{name},"created_at":"1970-01-01T00:00:00Z"}}"#
        ))
    }

    fn list(&self, models: &[&Model], query: Option<&str>) -> String {
        let limit = parameter(query, "limit").and_then(|limit| limit.parse().ok());
        let limit = limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
        let place = |name| {
            let id = parameter(query, name)?;
            Some(models.iter().position(|model| model.id == id).unwrap_or(models.len()))
        };
        let (page, has_more) = match (place("after_id"), place("before_id")) {
            (_, Some(end)) => {
                // Nothing goes before what is not on the list.
                let end = if end == models.len() { 0 } else { end };
                let start = end.saturating_sub(limit);
                (&models[start..end], start > 0)
            }
            (after, None) => {
                let start = after.map_or(0, |at| (at + 1).min(models.len()));
                let end = (start + limit).min(models.len());
                (&models[start..end], end < models.len())
            }
        };
        let id = |model: Option<&&Model>| model.map_or(Value::Null, |model| model.id.as_str().into());
        format!(
            r#"{{"data":[{}],"has_more":{has_more},"first_id":{},"last_id":{}}}"#,
            joined(page),
            id(page.first()),
            id(page.last())
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::client::UNKNOWN;
    use crate::model_list::tests::{list, with_aliases};
    use crate::model_list::{Alias, Model, ModelQuestion};
    use lychgate_types::provider::WireFamily::Anthropic;
    use serde_json::Value;

    fn models(count: usize) -> Vec<Model> {
        let model = |n: usize| Model {
            id: format!("m{n}"),
            json: format!("{{\"id\":\"m{n}\"}}"),
        };
        (0..count).map(model).collect()
    }

    #[test]
    fn pages_follow_each_other_both_ways() {
        let question = ModelQuestion::new(Anthropic, "Claude Code", None).unwrap();
        let all = models(45);
        let page = |query: &str| -> (Vec<String>, bool, Value, Value) {
            let page: Value =
                serde_json::from_str(&list(&question, &all, Some(query).filter(|q| !q.is_empty()))).unwrap();
            let ids = page["data"].as_array().unwrap().iter();
            let ids = ids.map(|model| model["id"].as_str().unwrap().to_owned()).collect();
            (
                ids,
                page["has_more"] == true,
                page["first_id"].clone(),
                page["last_id"].clone(),
            )
        };
        for (query, ids, more) in [
            ("", 0..20, true),
            ("limit=1000", 0..45, false),
            ("beta=true&limit=1000", 0..45, false),
            ("limit=20&after_id=m19", 20..40, true),
            ("after_id=m39", 40..45, false),
            ("after_id=m44", 0..0, false),
            ("after_id=gone", 0..0, false),
            ("before_id=m40", 20..40, true),
            ("before_id=m20", 0..20, false),
            ("before_id=m0", 0..0, false),
            ("before_id=gone", 0..0, false),
            ("limit=0", 0..1, true),
            ("limit=99999", 0..45, false),
            ("limit=x", 0..20, true),
        ] {
            let wanted: Vec<_> = ids.map(|n| format!("m{n}")).collect();
            let (found, has_more, first, last) = page(query);
            assert_eq!((&found, has_more), (&wanted, more), "{query}");
            assert_eq!(
                (first.as_str(), last.as_str()),
                (found.first().map(String::as_str), found.last().map(String::as_str))
            );
        }
    }

    #[test]
    fn a_page_says_where_the_next_begins_and_entries_keep_every_member() {
        let question = ModelQuestion::new(Anthropic, UNKNOWN, Some("client_version=1")).unwrap();
        assert_eq!(question.query(None), "limit=1000");
        assert_eq!(question.query(Some("a&b")), "limit=1000&after_id=a%26b");
        let entry = r#"{"type":"model", "id":"claude-x", "new":{"x":1.0}}"#;
        let page = question
            .read(
                format!(r#"{{"data":[{entry},{entry},7,{{"id":""}}],"has_more":true,"last_id":"claude-x"}}"#)
                    .as_bytes(),
            )
            .unwrap();
        assert_eq!(page.next.as_deref(), Some("claude-x"));
        let [model] = &page.models[..] else { panic!("{page:?}") };
        assert_eq!((model.id.as_str(), model.json.as_str()), ("claude-x", entry));
        for none in ["", "[]", "{}", r#"{"data":{}}"#, r#"{"type":"error","error":{}}"#] {
            assert_eq!(question.read(none.as_bytes()), None, "{none}");
        }
        for (query, is_answered, is_all) in [
            (None, true, true),
            (Some(""), true, true),
            (Some("limit=1000"), true, true),
            (Some("limit=3&beta=true"), true, false),
            (Some("limit=1000&after_id=m"), true, false),
            (Some("limit=1000&other=1"), false, false),
        ] {
            assert_eq!(question.is_answered_by_list(query), is_answered, "{query:?}");
            assert_eq!(question.asks_for_all(query), is_all, "{query:?}");
        }
        let names = [("fast", Some("claude-x")), ("claude-x", None)];
        let aliases = names.map(|(name, stands_for)| Alias { name, stands_for });
        let all = with_aliases(&question, page.models, &aliases);
        let list: Value = serde_json::from_str(&list(&question, &all, None)).unwrap();
        assert_eq!(list["data"][1]["id"], "fast");
        assert_eq!((list["data"][1]["type"].as_str(), all.len()), (Some("model"), 2));
    }
}
