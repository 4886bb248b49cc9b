//! The tools that a request offers, and arguments for calling them that fit their schema.

use crate::json::{items, text};
use serde_json::{Map, Value};

/// A tool on offer.
#[derive(Debug, Clone)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// A custom tool of the OpenAI APIs: takes free text instead of JSON.
    pub(crate) custom: bool,
    schema: Value,
}

impl Tool {
    /// Those that the client itself can run, in the request's order: the forms of Anthropic, Chat Completions, Responses,
    /// Gemini and Converse.
    pub(crate) fn read_all(body: &Value) -> Vec<Self> {
        let declared = |tool: &'_ Value| match tool.get("functionDeclarations") {
            Some(Value::Array(declared)) => declared.iter().filter_map(Self::read).collect(),
            _ => Vec::from_iter(Self::read(tool)),
        };
        let tools = items(body, "tools").iter();
        tools
            .chain(items(&body["toolConfig"], "tools"))
            .flat_map(declared)
            .collect()
    }

    fn read(tool: &Value) -> Option<Self> {
        let kind = text(tool, "type");
        let forms = ["function", "custom", "toolSpec"];
        let inner = forms.iter().find_map(|form| tool.get(form)).unwrap_or(tool);
        let name = inner.get("name")?.as_str()?.to_owned();
        let schema = inner
            .get("input_schema")
            .or_else(|| inner.get("parameters"))
            .or_else(|| inner.get("parametersJsonSchema"))
            .or_else(|| inner.get("parameters_json_schema"))
            .or_else(|| inner.get("inputSchema")?.get("json"))
            .cloned()
            .unwrap_or(Value::Null);
        // A type that is none of these names a tool that the provider runs by itself; a deferred one has to be searched for first.
        let callable = matches!(kind, "" | "custom" | "function") && tool["defer_loading"] != true;
        callable.then(|| Self {
            name,
            custom: kind == "custom" && schema.is_null(),
            schema,
        })
    }

    /// The well-known example, for when a tool call is wanted but no tool is on offer.
    pub(crate) fn weather() -> Self {
        let schema =
            serde_json::json!({"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}});
        Self {
            name: "get_weather".to_owned(),
            custom: false,
            schema,
        }
    }

    /// Arguments, as JSON text; `nth` varies them where two calls go to the same tool.
    pub(crate) fn arguments(&self, nth: usize) -> String {
        if self.custom {
            return format!("example input {}", nth + 1);
        }
        sample(&self.schema, "", nth, 0)
            .as_object()
            .cloned()
            .map(Value::Object)
            .unwrap_or_else(|| Value::Object(Map::new()))
            .to_string()
    }
}

/// A value that fits the schema, as far as its plain keywords say.
fn sample(schema: &Value, name: &str, nth: usize, depth: usize) -> Value {
    if let Some(first) = items(schema, "enum").first().or_else(|| schema.get("const")) {
        return first.clone();
    }
    let kind = schema["type"]
        .as_str()
        .or_else(|| items(schema, "type").first()?.as_str())
        .unwrap_or_default();
    match kind.to_ascii_lowercase().as_str() {
        "object" if depth < 8 => {
            let required = items(schema, "required");
            let members = schema["properties"].as_object().into_iter().flatten();
            let members = members.filter(|(key, _)| required.is_empty() || required.iter().any(|r| r == key.as_str()));
            Value::Object(
                members
                    .map(|(key, value)| (key.clone(), sample(value, key, nth, depth + 1)))
                    .collect(),
            )
        }
        "array" if depth < 8 => Value::Array(vec![sample(&schema["items"], name, nth, depth + 1)]),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| Value::from(nth + 1)),
        "boolean" => Value::Bool(true),
        "null" => Value::Null,
        _ => Value::from(word(name, nth)),
    }
}

fn word(name: &str, nth: usize) -> &'static str {
    let name = name.to_ascii_lowercase();
    let place = ["city", "location", "place", "town"]
        .iter()
        .any(|part| name.contains(part));
    match (place, nth) {
        (true, 0) => "Zürich",
        (true, _) => "Oslo",
        (false, _) if name.contains("unit") => "celsius",
        (false, _) => "example",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_fit_the_schema() {
        let body = json!({"tools": [
            {"name": "get_weather", "input_schema": {"type": "object", "required": ["city", "unit"], "properties": {
                "city": {"type": "string"}, "unit": {"type": "string", "enum": ["kelvin", "celsius"]}, "days": {"type": "integer"}}}},
            {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "number"}, "list": {"type": "array", "items": {"type": "boolean"}}}}}},
            {"type": "web_search_20250305", "name": "web_search"},
            {"type": "custom", "name": "free"},
        ]});
        let tools = Tool::read_all(&body);
        let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["get_weather", "add", "free"]);
        assert_eq!(tools[0].arguments(0), r#"{"city":"Zürich","unit":"kelvin"}"#);
        assert_eq!(tools[1].arguments(1), r#"{"a":2,"list":[true]}"#);
        assert_eq!(tools[2].arguments(0), "example input 1");
    }

    #[test]
    fn a_schema_without_end_does_not_matter() {
        let mut schema = json!({"type": "object", "properties": {}});
        for _ in 0..50 {
            schema = json!({"type": "object", "properties": {"deeper": schema}});
        }
        let tool = Tool {
            name: "t".into(),
            custom: false,
            schema,
        };
        assert!(tool.arguments(0).starts_with(r#"{"deeper":"#));
    }
}
