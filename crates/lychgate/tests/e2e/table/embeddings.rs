//! Embeddings.

use super::row::Row;
use lychgate_scripted::Endpoint::Embeddings;
use serde_json::json;

pub(super) fn rows() -> Vec<Row> {
    let answer = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.25,-1e-3]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}}
"#;
    vec![
        Row::blocking(Embeddings, "embeddings: usage", answer)
            .records(json!({"usage": {"input_tokens": 8, "provider_response_id": ""}})),
        Row::blocking(
            Embeddings,
            "embeddings: several texts, and nothing of them on record",
            answer,
        )
        .asks(json!({"input": ["one", "two"], "stream": "true"}))
        .records(json!({"usage": {"input_tokens": 8, "provider_response_id": ""}})),
    ]
}
