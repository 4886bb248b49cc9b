//! Answers and requests in the bytes of Google's servers and clients.

use crate::RequestFacts;
use crate::testing::{assert_error, assert_thoughts, assert_tools, read_body, read_stream};
use lychgate_types::interception::ThoughtSource::Thinking;
use lychgate_types::provider::Api::{GeminiEmbeddings, GeminiGenerateContent};

/// A stream as Google writes it, with `alt=sse`.
fn events(pieces: &[&str]) -> String {
    pieces.iter().map(|piece| format!("data: {piece}\r\n\r\n")).collect()
}

/// The same without: a list.
fn list(pieces: &[&str]) -> String {
    format!("[{}\n]\n", pieces.join("\n,\r\n"))
}

const STREAM: &[&str] = &[
    r#"{"candidates": [{"content": {"parts": [{"text": "Let me ","thought": true}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 100,"thoughtsTokenCount": 3,"totalTokenCount": 103},"modelVersion": "gemini-3-pro","responseId": "r1"}"#,
    r#"{"candidates": [{"content": {"parts": [{"text": "think.","thought": true}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 100,"thoughtsTokenCount": 7,"totalTokenCount": 107},"modelVersion": "gemini-3-pro","responseId": "r1"}"#,
    r#"{"candidates": [{"content": {"parts": [{"text": "Hi."}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 100,"candidatesTokenCount": 2,"thoughtsTokenCount": 7,"totalTokenCount": 109},"modelVersion": "gemini-3-pro","responseId": "r1"}"#,
    r#"{"candidates": [{"content": {"parts": [{"text": "","thoughtSignature": "c2ln"}],"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 100,"cachedContentTokenCount": 40,"candidatesTokenCount": 5,"toolUsePromptTokenCount": 20,"thoughtsTokenCount": 7,"totalTokenCount": 132,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 58},{"modality": "IMAGE","tokenCount": 42}],"trafficType": "ON_DEMAND"},"modelVersion": "gemini-3-pro","responseId": "r1"}"#,
];

#[test]
fn a_stream_is_read_as_events_and_as_a_list() {
    for stream in [events(STREAM), list(STREAM)] {
        let facts = read_stream(GeminiGenerateContent, &stream);
        assert_eq!(
            (facts.provider_response_id.as_str(), facts.served_model.as_str()),
            ("r1", "gemini-3-pro")
        );
        assert_eq!((facts.complete, facts.stop_reason.as_deref()), (true, Some("STOP")));
        assert_thoughts(&facts, &[(Thinking, "Let me think.")]);
        let usage = facts.only_usage().unwrap();
        assert_eq!(
            (usage.input_tokens, usage.cache_read_input_tokens),
            (80, 40),
            "{usage:?}"
        );
        assert_eq!((usage.output_tokens, usage.reasoning_tokens), (12, 7), "{usage:?}");
        assert!(!usage.estimated);
        let extra: Vec<_> = usage
            .extra
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        assert_eq!(extra, [("promptTokensDetails.IMAGE", 42)]);
        assert_eq!(usage.attributes["trafficType"], "ON_DEMAND");
        assert_eq!(facts.text_bytes, 16);
    }
}

#[test]
fn a_stream_without_its_last_piece_is_cut() {
    for stream in [events(&STREAM[..3]), list(&STREAM[..3]), list(STREAM)[..700].to_owned()] {
        let facts = read_stream(GeminiGenerateContent, &stream);
        assert!(!facts.complete && facts.stop_reason.is_none());
        assert!(facts.only_usage().unwrap().estimated);
    }
}

/// Input, cached, output and what is left of the counters.
fn tokens(usage: &str) -> (i64, i64, i64, Vec<(String, i64)>) {
    let body = format!(r#"{{"candidates":[{{"finishReason":"STOP"}}],"usageMetadata":{usage}}}"#);
    let usage = read_body(GeminiGenerateContent, 200, &body).only_usage().unwrap();
    let extra = usage.extra.into_iter().collect();
    (
        usage.input_tokens,
        usage.cache_read_input_tokens,
        usage.output_tokens,
        extra,
    )
}

#[test]
fn the_total_tells_whether_thoughts_are_among_the_candidates() {
    for (usage, input, cached, output, left) in [
        (
            r#"{"promptTokenCount":10,"candidatesTokenCount":4,"thoughtsTokenCount":6,"totalTokenCount":20}"#,
            10,
            0,
            10,
            None,
        ),
        (
            r#"{"promptTokenCount":10,"candidatesTokenCount":9,"thoughtsTokenCount":6,"totalTokenCount":19}"#,
            10,
            0,
            9,
            None,
        ),
        (
            r#"{"promptTokenCount":10,"candidatesTokenCount":4,"totalTokenCount":21}"#,
            10,
            0,
            4,
            Some(21),
        ),
        (
            r#"{"promptTokenCount":10,"thoughtsTokenCount":6,"totalTokenCount":16}"#,
            10,
            0,
            6,
            None,
        ),
        (
            r#"{"promptTokenCount":10,"cachedContentTokenCount":12,"candidatesTokenCount":1,"totalTokenCount":11}"#,
            0,
            12,
            1,
            None,
        ),
        (r#"{"promptTokenCount":10}"#, 10, 0, 0, None),
    ] {
        let left: Vec<_> = left
            .map(|count| ("totalTokenCount".to_owned(), count))
            .into_iter()
            .collect();
        assert_eq!(tokens(usage), (input, cached, output, left), "{usage}");
    }
}

#[test]
fn the_last_count_that_counts_is_true() {
    let facts = read_stream(
        GeminiGenerateContent,
        &events(&[
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":50,"candidatesTokenCount":9}}"#,
            r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":48,"candidatesTokenCount":0}}"#,
        ]),
    );
    let usage = facts.only_usage().unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (48, 9));
}

#[test]
fn every_call_is_one_and_has_an_id() {
    let calls = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"find","args":{"q":1}},"thoughtSignature":"AbCd0123456789012345678901234567890123456789"},{"functionCall":{"name":"find","args":{"q":2}}},{"functionCall":{"id":"own","name":"stop"}}]}}]}"#;
    let end = r#"{"candidates":[{"content":{"parts":[{"executableCode":{"language":"PYTHON","code":"1"}}]},"finishReason":"STOP"}]}"#;
    let facts = read_stream(GeminiGenerateContent, &events(&[calls, end]));
    let tail = "23456789012345678901234567890123456789";
    let tail = &tail[tail.len() - 32..];
    assert_tools(
        &facts,
        &[
            (&format!("made_{tail}_0"), "find", r#"{"q":1}"#),
            (&format!("made_{tail}_1"), "find", r#"{"q":2}"#),
            ("own", "stop", ""),
            (
                &format!("made_{tail}_3"),
                "executableCode",
                r#"{"language":"PYTHON","code":"1"}"#,
            ),
        ],
    );
    let unsigned = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"a"}},{"functionCall":{"name":"a"}}]},"finishReason":"STOP"}]}"#;
    let facts = read_body(GeminiGenerateContent, 200, unsigned);
    assert_tools(&facts, &[("made_0", "a", ""), ("made_1", "a", "")]);
    let pieces = [
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"id":"c","name":"a","willContinue":true}}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"partialArgs":[{"jsonPath":"$.x","stringValue":"y"}],"willContinue":true}}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{}}]},"finishReason":"STOP"}]}"#,
    ];
    let facts = read_stream(GeminiGenerateContent, &events(&pieces));
    assert_tools(&facts, &[("c", "a", r#"[{"jsonPath":"$.x","stringValue":"y"}]"#)]);
}

#[test]
fn candidates_are_kept_apart() {
    let pieces = [
        r#"{"candidates":[{"index":1,"content":{"parts":[{"text":"b","thought":true}]}},{"index":0,"content":{"parts":[{"text":"a","thought":true}]}}]}"#,
        r#"{"candidates":[{"index":1,"content":{"parts":[{"text":"B","thought":true}]},"finishReason":"MAX_TOKENS"}]}"#,
        r#"{"candidates":[{"index":0,"content":{"parts":[{"text":"A","thought":true}]},"finishReason":"FINISH_REASON_UNSPECIFIED"}]}"#,
    ];
    let facts = read_stream(GeminiGenerateContent, &events(&pieces));
    assert!(!facts.complete, "one has not ended");
    assert_thoughts(&facts, &[(Thinking, "bB"), (Thinking, "aA")]);
    let end = r#"{"candidates":[{"index":0,"finishReason":"STOP"}]}"#;
    let facts = read_stream(GeminiGenerateContent, &events(&[pieces[0], pieces[1], pieces[2], end]));
    assert_eq!((facts.complete, facts.stop_reason.as_deref()), (true, Some("STOP")));
}

#[test]
fn a_blocked_prompt_is_complete_and_paid() {
    let blocked = r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":8,"totalTokenCount":8},"modelVersion":"m"}"#;
    for stream in [events(&[blocked]), list(&[blocked])] {
        let facts = read_stream(GeminiGenerateContent, &stream);
        assert_eq!(
            (facts.complete, facts.stop_reason.as_deref()),
            (true, Some("PROHIBITED_CONTENT"))
        );
        let usage = facts.only_usage().unwrap();
        assert_eq!(
            (usage.input_tokens, usage.output_tokens, usage.estimated),
            (8, 0, false)
        );
    }
}

#[test]
fn errors_are_read_wherever_google_puts_them() {
    let error = r#"{
  "error": {
    "code": 503,
    "message": "The model is overloaded.",
    "status": "UNAVAILABLE"
  }
}
"#;
    let line = r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#;
    let begun = events(&STREAM[..1]);
    for stream in [
        format!("{begun}{error}"),
        format!("{begun}{line}\n\n"),
        format!("{begun}data: {line}\r\n\r\n"),
        format!("[{}\n,\r\n{error}]\n", STREAM[0]),
        format!("[{}\n]\n{}", STREAM[0], ""),
        format!("[{error}]\n"),
        error.to_owned(),
    ] {
        let facts = read_stream(GeminiGenerateContent, &stream);
        if stream.contains("error") {
            assert_error(&facts, "UNAVAILABLE", "The model is overloaded.");
        }
        assert_eq!(facts.complete, stream == error, "{stream}");
    }
    assert_error(
        &read_body(GeminiGenerateContent, 503, &format!("[{error}]")),
        "UNAVAILABLE",
        "The model is overloaded.",
    );
    assert_error(
        &read_body(GeminiEmbeddings, 503, error),
        "UNAVAILABLE",
        "The model is overloaded.",
    );
    let odd = r#"{"error":{"code":"invalid_request","message":"m"}}"#;
    assert_error(&read_body(GeminiGenerateContent, 400, odd), "invalid_request", "m");
}

#[test]
fn searches_are_counted() {
    let body = r#"{"candidates":[{"finishReason":"STOP","groundingMetadata":{"webSearchQueries":["a","b"]}}],"usageMetadata":{"promptTokenCount":1}}"#;
    let usage = read_body(GeminiGenerateContent, 200, body).only_usage().unwrap();
    assert_eq!(usage.extra["webSearchQueries"], 2);
}

#[test]
fn embeddings_tell_their_tokens_or_do_not() {
    let body = r#"{"embeddings":[{"values":[0.1]}],"usageMetadata":{"promptTokenCount":6,"promptTokenDetails":[{"modality":"AUDIO","tokenCount":4}]}}"#;
    let facts = read_body(GeminiEmbeddings, 200, body);
    let usage = facts.only_usage().unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens, facts.complete), (6, 0, true));
    assert_eq!(usage.extra["promptTokenDetails.AUDIO"], 4);
    let facts = read_body(GeminiEmbeddings, 200, r#"{"embedding":{"values":[0.1]}}"#);
    assert_eq!((facts.only_usage(), facts.complete), (None, true));
}

fn request(contents: &str) -> RequestFacts {
    let body = format!(r#"{{"contents":{contents},"systemInstruction":{{"parts":[{{"text":"s"}}]}}}}"#);
    crate::read_request(GeminiGenerateContent, None, body.as_bytes()).unwrap()
}

#[test]
fn the_prompt_is_the_text_of_the_last_turn_of_the_user() {
    for (contents, prompt) in [
        (r#"[{"parts":[{"text":"Hi"}]}]"#, Some("Hi")),
        (
            r#"[{"role":"user","parts":[{"text":"a"},{"inlineData":{"mimeType":"image/png","data":"iVBO"}},{"text":"b"}]},{"role":"model","parts":[{"text":"{"}]}]"#,
            Some("a\nb"),
        ),
        (r#"[{"role":"model","parts":[{"text":"x"}]}]"#, None),
        ("[]", None),
        (r#""Hi""#, None),
        (r#"[7,{"role":"user","parts":{"text":"x"}}]"#, None),
    ] {
        assert_eq!(request(contents).prompt.as_deref(), prompt, "{contents}");
    }
    let twice = br#"{"contents":[{"role":"user","role":"model","parts":[]}]}"#;
    assert!(crate::read_request(GeminiGenerateContent, None, twice).is_err());
}

#[test]
fn a_result_names_the_call_even_where_the_call_has_no_id() {
    let signature = "AbCd0123456789012345678901234567890123456789";
    let call = |id: &str, signed: bool| {
        let signature = if signed {
            format!(r#","thoughtSignature":"{signature}""#)
        } else {
            String::new()
        };
        format!(r#"{{"functionCall":{{{id}"name":"f","args":{{}}}}{signature}}}"#)
    };
    let turns = |calls: &[String], result: &str| {
        format!(
            r#"[{{"role":"user","parts":[{{"text":"q"}}]}},{{"role":"model","parts":[{{"text":"t","thought":true}},{}]}},{{"role":"user","parts":[{{"functionResponse":{{{result}"name":"f","response":{{}}}}}}]}}]"#,
            calls.join(",")
        )
    };
    let named = r#""id":"c1","#;
    let made = format!("made_{}_0", &signature[signature.len() - 32..]);
    for (calls, result, parent) in [
        (vec![call(named, true)], r#""id":"c1","#, Some("c1")),
        (vec![call("", true), call("", false)], "", Some(made.as_str())),
        (
            vec![call("", true)],
            r#""id":"of-the-clients-own-making","#,
            Some(&made),
        ),
        // As Gemini CLI makes them.
        (
            vec![
                call(r#""id":"f_1796082194285_0","#, true),
                call(r#""id":"f_1796082194285_1","#, false),
            ],
            r#""id":"f_1796082194285_1","#,
            Some(&made),
        ),
        (
            vec![call(r#""id":"f_12_0","#, true)],
            r#""id":"f_12_0","#,
            Some("f_12_0"),
        ),
        (vec![call("", false)], "", None),
        (vec![call("", false)], r#""id":"x","#, Some("x")),
    ] {
        let facts = request(&turns(&calls, result));
        assert_eq!(
            facts.thread_parent_tool_call_id.as_deref(),
            parent,
            "{calls:?} {result}"
        );
        assert_eq!(facts.prompt, None);
    }
    let own = r#"[{"role":"user","parts":[{"text":"<session_context>\nA list of files\n</session_context>"},{"text":"Why?"}]}]"#;
    assert_eq!(
        request(own).prompt.as_deref(),
        Some("Why?"),
        "what Gemini CLI itself adds"
    );
    let snake = r#"[{"role":"model","parts":[{"function_call":{"id":"c","name":"f"}}]},{"role":"function","parts":[{"function_response":{"id":"c","name":"f"}},{"text":"and"}]}]"#;
    let facts = request(snake);
    assert_eq!(
        (facts.thread_parent_tool_call_id.as_deref(), facts.prompt.as_deref()),
        (Some("c"), Some("and"))
    );
}
