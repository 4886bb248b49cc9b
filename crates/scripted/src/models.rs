//! The lists of models, in both families' forms.

/// Models of the Anthropic family, newest first.
const ANTHROPIC: [(&str, &str); 3] = [
    ("claude-sonnet-5", "Claude Sonnet 5"),
    ("claude-haiku-5-5", "Claude Haiku 5.5"),
    ("claude-opus-5", "Claude Opus 5"),
];
const OPENAI: [&str; 4] = ["gpt-5.5", "gpt-5.4-mini", "gpt-5-mini", "text-embedding-3-small"];

/// `GET /v1/models` of Anthropic.
pub(crate) fn anthropic_list() -> String {
    let models: Vec<String> = ANTHROPIC.iter().map(|(id, name)| anthropic(id, name)).collect();
    let (first, last) = (ANTHROPIC[0].0, ANTHROPIC[ANTHROPIC.len() - 1].0);
    format!(
        r#"{{"data":[{}],"has_more":false,"first_id":"{first}","last_id":"{last}"}}"#,
        models.join(",")
    )
}

/// `GET /v1/models/{id}` of Anthropic.
pub(crate) fn anthropic_one(id: &str) -> Option<String> {
    ANTHROPIC
        .iter()
        .find(|model| model.0 == id)
        .map(|(id, name)| anthropic(id, name))
}

fn anthropic(id: &str, name: &str) -> String {
    format!(r#"{{"type":"model","id":"{id}","display_name":"{name}","created_at":"2026-06-01T00:00:00Z"}}"#)
}

/// `GET /v1/models` of OpenAI.
pub(crate) fn openai_list() -> String {
    let models: Vec<String> = OPENAI.iter().map(|id| openai(id)).collect();
    format!("{{\n  \"object\": \"list\",\n  \"data\": [{}]\n}}\n", models.join(", "))
}

/// `GET /v1/models/{id}` of OpenAI.
pub(crate) fn openai_one(id: &str) -> Option<String> {
    OPENAI.iter().find(|model| **model == id).map(|id| openai(id))
}

fn openai(id: &str) -> String {
    format!(r#"{{"id": "{id}", "object": "model", "created": 1754425777, "owned_by": "system"}}"#)
}
