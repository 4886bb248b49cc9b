//! Gemini's embeddings: one, or one for each request in a batch.

use super::model_and_verb;
use crate::answer::Answer;
use crate::ask::{Ask, Said, words};
use crate::families::{Api, Family, Stream};
use crate::json::items;
use crate::scenario::Scenario;
use serde_json::Value;

/// `embedContent` and `batchEmbedContents`.
pub(crate) struct Embeddings;

impl Api for Embeddings {
    fn name(&self) -> &'static str {
        "gemini_embeddings"
    }

    fn path(&self) -> &'static str {
        "/v1beta/models/gemini-embedding-2:batchEmbedContents"
    }

    fn is_at(&self, path: &str) -> bool {
        matches!(model_and_verb(path), Some((_, "embedContent" | "batchEmbedContents")))
    }

    fn told_by(&self, path: &str, _: &str) -> Vec<(&'static str, Value)> {
        model_and_verb(path)
            .map(|(model, _)| ("model", Value::from(model)))
            .into_iter()
            .collect()
    }

    fn family(&self) -> &'static dyn Family {
        &super::Gemini
    }

    fn example(&self, _: bool) -> String {
        r#"{"model":"gemini-embedding-2","requests":[{"model":"models/gemini-embedding-2","content":{"parts":[{"text":"Hello"}]}}]}"#.to_owned()
    }

    fn turns(&self) -> &'static str {
        "requests"
    }

    fn required(&self) -> &'static str {
        "model"
    }

    fn said(&self, body: &Value, last: &Value) -> Said {
        let content = last.get("content").unwrap_or(&body["content"]);
        Said::user(words(&content["parts"]))
    }

    fn wants_thinking(&self, _: &Value) -> bool {
        false
    }

    fn whole(&self, ask: &Ask, scenario: Scenario) -> String {
        const VALUES: &str = r#"{"values": [-0.022374554,-0.004560777,0.013309286]}"#;
        let tokens = Answer::new(ask, scenario).usage.input;
        let usage = format!(
            r#""usageMetadata": {{"promptTokenCount": {tokens},"promptTokenDetails": [{{"modality": "TEXT","tokenCount": {tokens}}}]}}"#
        );
        match items(&ask.body, "requests").len() {
            0 => format!(r#"{{"embedding": {VALUES},{usage}}}"#),
            count => format!(r#"{{"embeddings": [{}],{usage}}}"#, vec![VALUES; count].join(",")),
        }
    }

    fn stream(&self, _: &Ask, _: Scenario) -> Option<Stream> {
        None
    }
}
