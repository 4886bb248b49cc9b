//! What in a body lets other models serve it than its `model`. The gateway holds them to a provider's routes.
//!
//! Not here: which hosts serve a model (`provider`), which is no choice of a model, and the routes themselves (crate `gateway`).

use crate::MalformedBody;
use crate::json::{self, Raw, members, unique};
use crate::limits::ITEMS;
use crate::provider::OtherModels;

/// Plugins and tools of the server's that ask no model of their own.
const PLAIN: &[&str] = &[
    "web",
    "file-parser",
    "response-healing",
    "openrouter:web_search",
    "openrouter:web_fetch",
    "openrouter:datetime",
];

members! {
    struct Request<'de> {
        model: Raw<'de> = b"model",
        models: Raw<'de> = b"models",
        preset: Raw<'de> = b"preset",
        plugins: Raw<'de> = b"plugins",
        route: Raw<'de> = b"route",
        tools: Raw<'de> = b"tools",
    }
}

members! {
    struct Extension<'de> { id: Raw<'de> = b"id", kind: Raw<'de> = b"type", }
}

/// Reads them.
pub(crate) fn other_models(body: &[u8]) -> Result<OtherModels, MalformedBody> {
    let request: Request<'_> = json::body(body)?;
    let mut found = OtherModels::default();
    let mut is_list = !request.models.is_some() || request.models.json().starts_with('[');
    request.models.for_each(|model| {
        is_list &= model.text().is_some() && found.listed.len() < ITEMS;
        found.listed.extend(model.text().filter(|_| is_list).map(Into::into));
    });
    let mut extensions = [("plugins", false), ("tools", false)];
    unique::each(request.plugins, |plugin: Extension<'_>| {
        extensions[0].1 |= !plugin.id.text().is_some_and(|id| PLAIN.contains(&&*id));
    })?;
    unique::each(request.tools, |tool: Extension<'_>| {
        let kind = tool.kind.text().unwrap_or_default();
        extensions[1].1 |= kind.starts_with("openrouter:") && !PLAIN.contains(&&*kind);
    })?;
    let named = request.model.text();
    let others = [
        ("model", named.as_deref().is_some_and(is_chooser)),
        ("models", !is_list || found.listed.iter().any(|name| is_chooser(name))),
        ("preset", request.preset.is_some()),
        ("route", request.route.is_some()),
    ];
    found.unnamed = (others.into_iter().chain(extensions))
        .find(|(_, is_open)| *is_open)
        .map(|(name, _)| name);
    Ok(found)
}

/// Whether a model of this name has others serve: it has a preset, or chooses among them itself.
fn is_chooser(name: &str) -> bool {
    const CHOOSERS: &[&str] = &[
        "openrouter/auto",
        "openrouter/free",
        "openrouter/fusion",
        "openrouter/pareto",
    ];
    name.contains("@preset/") || CHOOSERS.iter().any(|chooser| name.starts_with(chooser))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_another_model_serve_is_found() {
        for (members, listed, unnamed) in [
            (r#""models":["a/x","b/y"]"#, &["a/x", "b/y"][..], None),
            (
                r#""models":null,"preset":null,"provider":{"order":["Together"]}"#,
                &[],
                None,
            ),
            (
                r#""plugins":[{"id":"web"},{"id":"file-parser"}],"tools":[{"type":"function"}]"#,
                &[],
                None,
            ),
            (r#""tools":[{"type":"openrouter:web_search"}]"#, &[], None),
            (r#""models":"a/x""#, &[], Some("models")),
            (r#""models":["a/x",7]"#, &["a/x"], Some("models")),
            (r#""models":[{"id":"b/y"},"a/x"]"#, &[], Some("models")),
            (r#""models":[]"#, &[], None),
            (
                r#""models":["a/x","openrouter/auto"]"#,
                &["a/x", "openrouter/auto"],
                Some("models"),
            ),
            (r#""models":["@preset/x"]"#, &["@preset/x"], Some("models")),
            (r#""preset":"cheap""#, &[], Some("preset")),
            (r#""route":"fallback""#, &[], Some("route")),
            (r#""plugins":[{"id":"web"},{"id":"auto-router"}]"#, &[], Some("plugins")),
            (r#""plugins":[{}]"#, &[], Some("plugins")),
            (r#""tools":[{"type":"openrouter:fusion"}]"#, &[], Some("tools")),
        ] {
            let found = other_models(format!(r#"{{"model":"a/x",{members}}}"#).as_bytes()).unwrap();
            assert_eq!(
                (found.listed, found.unnamed),
                (listed.iter().map(|&name| name.into()).collect(), unnamed),
                "{members}"
            );
        }
        for model in [
            "a/x@preset/y",
            "openrouter/auto",
            "openrouter/auto-beta",
            "openrouter/free",
        ] {
            let found = other_models(format!(r#"{{"model":"{model}"}}"#).as_bytes()).unwrap();
            assert_eq!(found.unnamed, Some("model"), "{model}");
        }
        assert!(other_models(br#"{"models":["a"],"models":["b"]}"#).is_err());
    }
}
