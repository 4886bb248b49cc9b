use crate::verdict::passing_error_first;
use crate::{ReaderOptions, ResponseFacts, ResponseReader};
use lychgate_types::provider::Api;

const WORKING: &str = ": OPENROUTER PROCESSING\n\n";
const TEXT: &str = r#"data: {"id":"gen-1764000000-Router1","provider":"Anthropic","model":"anthropic/claude-sonnet-5","object":"chat.completion.chunk","created":1764000000,"choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}

"#;
const STOP: &str = r#"data: {"id":"gen-1764000000-Router1","provider":"Anthropic","model":"anthropic/claude-sonnet-5","object":"chat.completion.chunk","created":1764000000,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop","native_finish_reason":"end_turn","logprobs":null}]}

"#;
/// Behind the end, with an empty choice.
const USAGE: &str = r#"data: {"id":"gen-1764000000-Router1","provider":"Anthropic","model":"anthropic/claude-sonnet-5","object":"chat.completion.chunk","created":1764000000,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"native_finish_reason":null,"logprobs":null}],"usage":{"prompt_tokens":194,"completion_tokens":252,"total_tokens":446,"cost":0.00095,"is_byok":true,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"cost_details":{"upstream_inference_cost":0.0190000000000000013,"upstream_inference_prompt_cost":1,"upstream_inference_completions_cost":null},"completion_tokens_details":{"reasoning_tokens":12,"image_tokens":0}}}

"#;
/// Before everything else, from some of the providers behind it.
const PREVIEW: &str = r#"data: {"id":"gen-1764000000-Router1","model":"anthropic/claude-sonnet-5","choices":[],"usage":{"prompt_tokens":194,"completion_tokens":4,"total_tokens":198,"cost":0.00001,"is_byok":false}}

"#;
const DONE: &str = "data: [DONE]\n\n";
const ERROR: &str = r#"data: {"id":"gen-1764000000-Router1","object":"chat.completion.chunk","created":1764000000,"model":"x","provider":"Anthropic","error":{"code":502,"message":"Provider disconnected"},"choices":[]}

"#;

fn facts(events: &[&str], streaming: bool) -> ResponseFacts {
    let options = ReaderOptions { capture_content: true };
    let mut reader = ResponseReader::new(Api::OpenAiChatCompletions, streaming, options);
    reader.push(events.concat().as_bytes());
    reader.finish(200)
}

#[test]
fn what_an_answer_cost_is_told_in_the_providers_own_digits() {
    let found = facts(&[WORKING, WORKING, TEXT, STOP, USAGE, DONE], true);
    let usage = found.only_usage().unwrap();
    assert_eq!(
        (
            usage.input_tokens,
            usage.cache_read_input_tokens,
            usage.output_tokens,
            usage.estimated
        ),
        (190, 4, 252, false)
    );
    let attributes: Vec<_> = usage
        .attributes
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    assert_eq!(
        attributes,
        [
            ("cost", "0.00095"),
            ("cost_details.upstream_inference_cost", "0.0190000000000000013"),
            ("cost_details.upstream_inference_prompt_cost", "1"),
            ("is_byok", "true"),
        ]
    );
    assert!(
        usage.extra.keys().all(|name| !name.contains("cost")),
        "{:?}",
        usage.extra
    );
    assert!(found.complete && found.error.is_none());
}

#[test]
fn of_several_reports_the_last_counts() {
    let found = facts(&[PREVIEW, TEXT, STOP, USAGE, DONE], true);
    let usage = found.only_usage().unwrap();
    assert_eq!((usage.output_tokens, usage.estimated), (252, false));
    assert_eq!(
        (usage.attributes["cost"].as_str(), usage.attributes["is_byok"].as_str()),
        ("0.00095", "true")
    );
    // Of what broke off behind a preview, little is known.
    for cut in [&[PREVIEW][..], &[PREVIEW, TEXT]] {
        let found = facts(cut, true);
        assert!(found.only_usage().unwrap().estimated && !found.complete, "{cut:?}");
    }
}

#[test]
fn an_error_with_a_good_status_is_one() {
    let stopped = ERROR.replace(
        r#""choices":[]"#,
        r#""choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]"#,
    );
    for stream in [&[ERROR, DONE][..], &[TEXT, ERROR], &[WORKING, TEXT, &stopped, DONE]] {
        let error = facts(stream, true).error.unwrap();
        assert_eq!(
            (error.error_type.as_str(), error.message.as_str()),
            ("502", "Provider disconnected")
        );
    }
    for (body, error_type, message) in [
        (
            r#"{"error":{"code":503,"message":"No provider"}}"#,
            "503",
            "No provider",
        ),
        (
            r#"{"id":"g","choices":[{"index":0,"finish_reason":"error","message":{"content":""},"error":{"code":429,"message":"slow"}}],"usage":{"prompt_tokens":1,"completion_tokens":0}}"#,
            "429",
            "slow",
        ),
        (
            r#"{"id":"g","choices":[{"index":0,"finish_reason":"error","message":{"content":"Hi"}}]}"#,
            "error",
            "the provider stopped the answer with an error that it does not tell",
        ),
    ] {
        let error = facts(&[body], false).error.unwrap();
        assert_eq!(
            (error.error_type.as_str(), error.message.as_str()),
            (error_type, message),
            "{body}"
        );
    }
}

#[test]
fn before_any_text_another_may_be_asked() {
    let api = Api::OpenAiChatCompletions;
    let first = |stream: &str| passing_error_first(api, true, stream.as_bytes());
    assert_eq!(first(&[WORKING, ERROR].concat()), Some(502));
    assert_eq!(first(&ERROR.replace("502", "\"server_error\"")), Some(500));
    assert_eq!(first(&ERROR.replace("502", "400")), None);
    assert_eq!(first(&[TEXT, ERROR].concat()), None, "somebody may have read it");
    let whole = r#"{"error":{"code":502,"message":"m"}}"#;
    assert_eq!(passing_error_first(api, false, whole.as_bytes()), Some(502));
}
