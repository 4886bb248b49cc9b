//! Generated content: whole, as a stream of events, and as a list that comes element by element.

use super::{Gemini, model_and_verb};
use crate::answer::{Answer, End, pieces};
use crate::ask::{Ask, Said, words};
use crate::families::{Api, Detail, Family as _, Stream};
use crate::json::{items, quoted, text};
use crate::scenario::Scenario;
use serde_json::Value;

/// `generateContent` and `streamGenerateContent`.
pub(crate) struct GenerateContent;

impl Api for GenerateContent {
    fn name(&self) -> &'static str {
        "gemini_generate_content"
    }

    fn path(&self) -> &'static str {
        "/v1beta/models/gemini-3-flash:generateContent"
    }

    fn is_at(&self, path: &str) -> bool {
        matches!(
            model_and_verb(path),
            Some((_, "generateContent" | "streamGenerateContent"))
        )
    }

    /// `alt` says how a stream is spelled: events, or else a list.
    fn told_by(&self, path: &str, query: &str) -> Vec<(&'static str, Value)> {
        let Some((model, verb)) = model_and_verb(path) else {
            return Vec::new();
        };
        let alt = query.split('&').find_map(|parameter| parameter.strip_prefix("alt="));
        vec![
            ("model", model.into()),
            ("stream", (verb == "streamGenerateContent").into()),
            ("alt", alt.unwrap_or("json").into()),
        ]
    }

    fn family(&self) -> &'static dyn crate::families::Family {
        &Gemini
    }

    fn example(&self, stream: bool) -> String {
        format!(
            r#"{{"model":"gemini-3-flash","stream":{stream},"alt":"sse","contents":[{{"role":"user","parts":[{{"text":"Hello"}}]}}]}}"#
        )
    }

    fn turns(&self) -> &'static str {
        "contents"
    }

    fn said(&self, _: &Value, last: &Value) -> Said {
        let mut parts = items(last, "parts").iter();
        let result = parts.rfind(|part| part.get("functionResponse").is_some());
        match result.map(|part| &part["functionResponse"]["response"]) {
            Some(response) => Said::tool_result(
                response["output"]
                    .as_str()
                    .or(response["result"].as_str())
                    .map_or_else(|| response.to_string(), str::to_owned),
            ),
            None => Said::user(words(&last["parts"])),
        }
    }

    fn wants_thinking(&self, body: &Value) -> bool {
        // Google takes either spelling, and its client for Python sends the second.
        let config = &body["generationConfig"]["thinkingConfig"];
        config["includeThoughts"] == true || config["include_thoughts"] == true
    }

    fn whole(&self, ask: &Ask, scenario: Scenario) -> String {
        let mut answer = Answer::new(ask, scenario);
        let parts: Vec<String> = parts(&mut answer, scenario)
            .into_iter()
            .map(|part| part.whole)
            .collect();
        let piece = Piece::new(ask, &mut answer);
        piece.spelled(&parts.join(","), true)
    }

    fn stream(&self, ask: &Ask, scenario: Scenario) -> Option<Stream> {
        let mut answer = Answer::new(ask, scenario);
        let mut parts: Vec<String> = parts(&mut answer, scenario)
            .into_iter()
            .flat_map(|part| part.pieces)
            .collect();
        // The end comes with an empty part.
        parts.push(r#"{"text": ""}"#.to_owned());
        let piece = Piece::new(ask, &mut answer);
        let last = parts.len() - 1;
        let spelled = parts
            .iter()
            .enumerate()
            .map(|(at, part)| piece.spelled(part, at == last));
        let error = Gemini.error_body(
            "UNAVAILABLE",
            "The model is overloaded. Please try again later.",
            Detail::default(),
        );
        Some(match text(&ask.body, "alt") {
            "sse" => Stream {
                events: spelled.map(|piece| format!("data: {piece}\r\n\r\n")).collect(),
                error,
                content_type: "text/event-stream",
            },
            _ => Stream {
                events: list(spelled),
                error: format!(",\r\n{error}]"),
                content_type: "application/json; charset=UTF-8",
            },
        })
    }
}

fn list(pieces: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = pieces
        .enumerate()
        .map(|(at, piece)| format!("{}{piece}", if at == 0 { "[" } else { ",\r\n" }))
        .collect();
    all.push("\n]\n".to_owned());
    all
}

/// A part of the answer: as a whole, and the pieces that it is streamed in.
struct Part {
    whole: String,
    pieces: Vec<String>,
}

/// What every piece of an answer has, and what only the last one has.
struct Piece {
    head: String,
    usage: String,
    finish_reason: &'static str,
}

impl Piece {
    fn new(ask: &Ask, answer: &mut Answer) -> Self {
        let id = answer.seed.id("", 22);
        let usage = &answer.usage;
        let (prompt, candidates) = (usage.all_input(), usage.output - usage.reasoning);
        let mut counts = format!(r#""promptTokenCount": {prompt},"candidatesTokenCount": {candidates}"#);
        for (name, count) in [
            ("thoughtsTokenCount", usage.reasoning),
            ("cachedContentTokenCount", usage.cache_read),
        ] {
            if count > 0 {
                counts += &format!(r#","{name}": {count}"#);
            }
        }
        let total = prompt + usage.output;
        Self {
            head: format!(r#""modelVersion": {},"responseId": "{id}""#, quoted(&ask.model)),
            usage: format!(
                r#"{counts},"totalTokenCount": {total},"promptTokensDetails": [{{"modality": "TEXT","tokenCount": {prompt}}}]"#
            ),
            finish_reason: match answer.end {
                End::Stop | End::ToolCalls => "STOP",
                End::Length => "MAX_TOKENS",
                End::Refusal => "SAFETY",
            },
        }
    }

    fn spelled(&self, parts: &str, is_last: bool) -> String {
        let Self {
            head,
            usage,
            finish_reason,
        } = self;
        let (end, usage) = match is_last {
            true => (format!(r#""finishReason": "{finish_reason}","#), usage.as_str()),
            // What is not known yet is not told.
            false => (String::new(), usage.split(',').next().unwrap_or_default()),
        };
        format!(
            r#"{{"candidates": [{{"content": {{"parts": [{parts}],"role": "model"}},{end}"index": 0}}],"usageMetadata": {{{usage}}},{head}}}"#
        )
    }
}

fn parts(answer: &mut Answer, scenario: Scenario) -> Vec<Part> {
    let mut parts = Vec::new();
    let text_part = |text: &str| format!(r#"{{"text": {}}}"#, quoted(text));
    if let Some(thought) = answer.thought.take() {
        let thought_part = |text: &str| format!(r#"{{"text": {},"thought": true}}"#, quoted(text));
        parts.push(Part {
            whole: thought_part(&thought),
            pieces: pieces(&thought).into_iter().map(thought_part).collect(),
        });
    }
    if scenario == Scenario::EveryTool {
        let code = r#"{"executableCode": {"language": "PYTHON","code": "print(6 * 7)"}}"#.to_owned();
        let result = r#"{"codeExecutionResult": {"outcome": "OUTCOME_OK","output": "42\n"}}"#.to_owned();
        parts.extend([code, result].map(one_piece));
    }
    if let Some(text) = answer.text.take().or_else(|| answer.commentary.take()) {
        parts.push(Part {
            whole: text_part(&text),
            pieces: pieces(&text).into_iter().map(text_part).collect(),
        });
    }
    let mut signature = Some(answer.seed.id("EqQBCgIYAhIM", 160));
    for call in std::mem::take(&mut answer.calls) {
        let arguments = match call.custom {
            true => format!(r#"{{"input":{}}}"#, quoted(&call.arguments)),
            false => call.arguments,
        };
        // Only the first of several is signed, and none has an id.
        let signature = signature
            .take()
            .map(|signature| format!(r#","thoughtSignature": "{signature}""#));
        parts.push(one_piece(format!(
            r#"{{"functionCall": {{"name": {},"args": {arguments}}}{}}}"#,
            quoted(&call.name),
            signature.unwrap_or_default()
        )));
    }
    parts
}

fn one_piece(part: String) -> Part {
    Part {
        whole: part.clone(),
        pieces: vec![part],
    }
}
