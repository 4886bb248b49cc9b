//! Chat Completions as OpenAI and servers like it send them.

use crate::testing::{
    assert_error, assert_thoughts, assert_tools, data_events, read_body, read_stream, read_stream_without_content,
};
use lychgate_types::interception::{ThoughtSource, TokenUsage};
use lychgate_types::provider::Api::OpenAiChatCompletions as Chat;

const HELLO: &str = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-5","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x"}"#;
const STOP: &str = r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#;
const USAGE: &str = r#"{"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":40,"total_tokens":140,"prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":2,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}"#;

fn wanted_usage() -> TokenUsage {
    TokenUsage {
        provider_response_id: "chatcmpl-1".into(),
        input_tokens: 36,
        output_tokens: 40,
        cache_read_input_tokens: 64,
        reasoning_tokens: 30,
        extra: [("completion_tokens_details.audio_tokens".to_owned(), 2)].into(),
        attributes: [("service_tier".to_owned(), "default".to_owned())].into(),
        ..TokenUsage::default()
    }
}

#[test]
fn cached_tokens_are_taken_out_of_the_input() {
    let facts = read_stream(Chat, &data_events(&[HELLO, STOP, USAGE, "[DONE]"]));
    assert_eq!(facts.only_usage(), Some(wanted_usage()));
    assert_eq!(facts.stop_reason.as_deref(), Some("stop"));
    assert!(facts.complete && facts.error.is_none());
}

#[test]
fn usage_is_taken_wherever_it_comes() {
    let with_choice = r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
    let in_choice = r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":5,"completion_tokens":2}}]}"#;
    let every_chunk = r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"x"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}}"#;
    for events in [
        vec![HELLO, with_choice, "[DONE]"],
        vec![HELLO, in_choice, "[DONE]"],
        vec![HELLO, every_chunk, with_choice],
        vec![HELLO, with_choice, HELLO, "[DONE]"],
    ] {
        let usage = read_stream(Chat, &data_events(&events)).only_usage().unwrap();
        assert_eq!(
            (usage.input_tokens, usage.output_tokens, usage.estimated),
            (5, 2, false),
            "{events:?}"
        );
    }
    let usage = read_stream(Chat, &data_events(&[HELLO, every_chunk]))
        .only_usage()
        .unwrap();
    assert!(usage.estimated, "the stream was cut before the model stopped");
}

#[test]
fn answers_in_sound_are_known_by_their_ids() {
    let body = r#"{"id":"chatcmpl-1","choices":[{"index":0,"message":{"role":"assistant","content":null,"audio":{"id":"audio_1","data":"AA","transcript":"Hi","expires_at":1}},"finish_reason":"stop"}]}"#;
    assert_eq!(read_body(Chat, 200, body).item_ids, ["audio_1"]);
    let piece = |choice: u8, audio: &str| {
        format!(
            r#"{{"id":"chatcmpl-1","choices":[{{"index":{choice},"delta":{{"content":null,"audio":{{{audio}}}}},"finish_reason":null}}]}}"#
        )
    };
    let pieces = [
        piece(0, r#""data":"AA""#),
        piece(0, r#""id":"audio_1","transcript":"H""#),
        piece(0, r#""id":"audio_1","transcript":"i""#),
        piece(1, r#""id":"audio_2","transcript":"i""#),
        piece(1, r#""id":7"#),
    ];
    let mut events = vec![HELLO];
    events.extend(pieces.iter().map(String::as_str));
    events.extend([STOP, USAGE, "[DONE]"]);
    assert_eq!(
        read_stream(Chat, &data_events(&events)).item_ids,
        ["audio_1", "audio_2"]
    );
}

#[test]
fn a_stream_is_complete_when_the_model_has_stopped() {
    assert!(read_stream(Chat, &data_events(&[HELLO, STOP, USAGE])).complete);
    assert!(!read_stream(Chat, &data_events(&[HELLO])).complete);
    assert!(read_stream(Chat, &data_events(&[HELLO, STOP, "[DONE]"])).complete);
    assert!(read_stream(Chat, "data: [DONE]").complete);
}

#[test]
fn parallel_tool_calls_are_all_kept_at_whatever_index_they_begin() {
    let facts = read_stream(
        Chat,
        &data_events(&[
            r#"{"id":"chatcmpl-2","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":2,"id":"call_a","type":"function","function":{"name":"get_weather","arguments":""}}]}}]}"#,
            r#"{"id":"chatcmpl-2","choices":[{"index":0,"delta":{"tool_calls":[{"index":2,"function":{"arguments":"{\"city\":"}}]}}]}"#,
            r#"{"id":"chatcmpl-2","choices":[{"index":0,"delta":{"tool_calls":[{"index":5,"id":"call_b","type":"function","function":{"name":"get_time","arguments":"{"}},{"index":7,"id":"call_c","type":"custom","custom":{"name":"shell","input":"ls "}}]}}]}"#,
            r#"{"id":"chatcmpl-2","choices":[{"index":0,"delta":{"tool_calls":[{"index":7,"custom":{"input":"-l"}},{"index":2,"function":{"arguments":"\"Bern\"}"}},{"index":5,"function":{"arguments":"}"}}]}}]}"#,
            r#"{"id":"chatcmpl-2","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
            "[DONE]",
        ]),
    );
    assert_tools(
        &facts,
        &[
            ("call_a", "get_weather", r#"{"city":"Bern"}"#),
            ("call_b", "get_time", "{}"),
            ("call_c", "shell", "ls -l"),
        ],
    );
    assert_eq!(facts.stop_reason.as_deref(), Some("tool_calls"));
}

#[test]
fn servers_that_number_their_calls_badly_lose_none() {
    let calls = |pieces: &[&str]| {
        let chunk = |piece: &&str| format!(r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{piece}]}}}}]}}"#);
        let chunks: Vec<_> = pieces.iter().map(chunk).collect();
        read_stream(
            Chat,
            &data_events(&chunks.iter().map(String::as_str).collect::<Vec<_>>()),
        )
    };
    let same_index = calls(&[
        r#"{"index":0,"id":"a","function":{"name":"f","arguments":"1"}}"#,
        r#"{"index":0,"id":"b","function":{"name":"g","arguments":"2"}}"#,
        r#"{"index":0,"function":{"arguments":"3"}}"#,
    ]);
    assert_tools(&same_index, &[("a", "f", "1"), ("b", "g", "23")]);
    let no_index = calls(&[
        r#"{"id":"a","function":{"name":"f","arguments":"1"}}"#,
        r#"{"id":"b","function":{"name":"f","arguments":"2"}}"#,
    ]);
    assert_tools(&no_index, &[("a", "f", "1"), ("b", "f", "2")]);
    let neither = calls(&[
        r#"{"function":{"name":"f","arguments":"1"}}"#,
        r#"{"function":{"name":"f","arguments":{"x": 2}}}"#,
        r#"{"function":{"arguments":"3"}}"#,
    ]);
    assert_tools(&neither, &[("", "f", "1"), ("", "f", r#"{"x": 2}3"#)]);
    let repeated = calls(&[
        r#"{"index":0,"id":"a","function":{"name":"f","arguments":"1"}}"#,
        r#"{"index":0,"id":"a","function":{"name":"f","arguments":"2"}}"#,
    ]);
    assert_tools(&repeated, &[("a", "f", "12")]);
}

#[test]
fn reasoning_content_is_a_thought_of_its_choice() {
    let events = data_events(&[
        r#"{"id":"c","choices":[{"index":0,"delta":{"reasoning_content":"First "}},{"index":1,"delta":{"reasoning_content":"Other"}}]}"#,
        r#"{"id":"c","choices":[{"index":0,"delta":{"reasoning_content":"second"}},{"index":1,"delta":{"reasoning_content":""}}]}"#,
        "[DONE]",
    ]);
    let facts = read_stream(Chat, &events);
    assert_thoughts(
        &facts,
        &[
            (ThoughtSource::Reasoning, "First second"),
            (ThoughtSource::Reasoning, "Other"),
        ],
    );
    assert_thoughts(&read_stream_without_content(Chat, &events), &[]);
}

#[test]
fn a_blocking_answer_tells_the_same() {
    let body = r#"{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":null,"reasoning_content":"Hm","tool_calls":[{"id":"call_a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"call_b","type":"custom","custom":{"name":"g","input":"text"}},{"type":"function","function":{"name":"h","arguments":"1"}},{"type":"function","function":{"name":"h","arguments":"2"}}]},"finish_reason":"tool_calls"}],"#;
    let usage = USAGE.split_once(r#""usage":"#).unwrap().1;
    let facts = read_body(Chat, 200, &format!(r#"{body}"usage":{usage}"#));
    let wanted = TokenUsage {
        attributes: Default::default(),
        ..wanted_usage()
    };
    assert_eq!(facts.only_usage(), Some(wanted));
    assert_tools(
        &facts,
        &[
            ("call_a", "f", "{}"),
            ("call_b", "g", "text"),
            ("", "h", "1"),
            ("", "h", "2"),
        ],
    );
    assert_thoughts(&facts, &[(ThoughtSource::Reasoning, "Hm")]);
    assert_eq!(facts.stop_reason.as_deref(), Some("tool_calls"));
    assert!(facts.complete);
}

#[test]
fn a_total_that_is_no_plain_sum_is_kept() {
    let facts = read_body(
        Chat,
        200,
        r#"{"id":"x","choices":[],"usage":{"prompt_tokens":10.0,"completion_tokens":5,"total_tokens":90,"prompt_cache_hit_tokens":3,"cost":0.25}}"#,
    );
    let usage = facts.only_usage().unwrap();
    assert_eq!(
        (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens),
        (7, 3, 5)
    );
    assert_eq!(usage.extra, [("total_tokens".to_owned(), 90)].into());
    assert_eq!(usage.attributes, [("cost".to_owned(), "0.25".to_owned())].into());
}

#[test]
fn errors_come_in_bodies_and_in_streams() {
    let error =
        r#"{"error":{"message":"Rate limit reached","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
    assert_error(&read_body(Chat, 429, error), "tokens", "Rate limit reached");
    let facts = read_stream(Chat, &data_events(&[HELLO, error]));
    assert_error(&facts, "tokens", "Rate limit reached");
    assert!(!facts.complete);
    let with_choice = r#"{"id":"gen-1","error":{"code":502,"message":"Upstream broke"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}"#;
    let facts = read_stream(Chat, &data_events(&[HELLO, with_choice]));
    assert_error(&facts, "502", "Upstream broke");
    assert_eq!(facts.stop_reason.as_deref(), Some("error"));
}

#[test]
fn malformed_events_are_passed_over() {
    let facts = read_stream(
        Chat,
        &data_events(&[
            HELLO,
            "{\"choices\":[{\"delta\"",
            "null",
            "{\"choices\":[3,{\"delta\":[]}]}",
            STOP,
            USAGE,
            "[DONE]",
        ]),
    );
    assert_eq!(facts.only_usage(), Some(wanted_usage()));
    assert!(facts.complete && facts.error.is_none());
}

#[test]
fn every_servers_name_for_a_count_is_known() {
    for (usage, wanted) in [
        // (input, output, cache read, cache written, reasoning)
        (
            r#"{"prompt_tokens":1000,"completion_tokens":7,"prompt_cache_hit_tokens":960,"prompt_cache_miss_tokens":40}"#,
            (40, 7, 960, 0, 0),
        ),
        (
            r#"{"prompt_tokens":1000,"completion_tokens":7,"cached_tokens":960}"#,
            (40, 7, 960, 0, 0),
        ),
        (
            r#"{"prompt_tokens":1000,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":600,"cache_write_tokens":300}}"#,
            (100, 7, 600, 300, 0),
        ),
        (
            r#"{"input_tokens":11,"output_tokens":7,"cache_read_input_tokens":5,"cache_creation_input_tokens":2}"#,
            (11, 7, 5, 2, 0),
        ),
        (r#"{"prompt_tokens":"11","completion_tokens":"7"}"#, (11, 7, 0, 0, 0)),
        (
            r#"{"prompt_tokens":11,"completion_tokens":7,"total_tokens":318,"completion_tokens_details":{"reasoning_tokens":300}}"#,
            (11, 307, 0, 0, 300),
        ),
        (
            r#"{"prompt_tokens":11,"completion_tokens":307,"total_tokens":318,"completion_tokens_details":{"reasoning_tokens":300}}"#,
            (11, 307, 0, 0, 300),
        ),
        (r#"{"total_tokens":8}"#, (8, 0, 0, 0, 0)),
    ] {
        let facts = read_body(Chat, 200, &format!(r#"{{"id":"c","choices":[],"usage":{usage}}}"#));
        let u = facts.only_usage().unwrap();
        let found = (
            u.input_tokens,
            u.output_tokens,
            u.cache_read_input_tokens,
            u.cache_write_input_tokens,
            u.reasoning_tokens,
        );
        assert_eq!(found, wanted, "{usage}");
    }
    let groq = r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"usage":{"prompt_tokens":11,"completion_tokens":7}}}"#;
    let usage = read_stream(Chat, &data_events(&[HELLO, groq, "[DONE]"]))
        .only_usage()
        .unwrap();
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.estimated),
        (11, 7, false)
    );
}

#[test]
fn a_later_report_that_says_less_wipes_nothing() {
    for later in [
        r#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#,
        r#"{"choices":[],"usage":{}}"#,
        r#"{"choices":[],"usage":null}"#,
    ] {
        let facts = read_stream(Chat, &data_events(&[HELLO, STOP, USAGE, later, "[DONE]"]));
        assert_eq!(facts.only_usage(), Some(wanted_usage()), "{later}");
    }
}

#[test]
fn almost_json_is_read_as_lenient_clients_read_it() {
    for number in ["NaN", "Infinity", "-Infinity"] {
        let body = format!(
            r#"{{"id":"c","choices":[{{"logprobs":{number},"message":{{"content":"NaN \" Infinity"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":1,"completion_tokens":2}}}}"#
        );
        let facts = read_body(Chat, 200, &body);
        assert_eq!(
            (facts.complete, facts.only_usage().unwrap().output_tokens),
            (true, 2),
            "{number}"
        );
        let facts = read_stream(Chat, &data_events(&[HELLO, &body]));
        assert_eq!(facts.only_usage().unwrap().output_tokens, 2, "{number}");
    }
}

#[test]
fn calls_that_are_told_oddly_are_told_once() {
    let calls = |chunks: &[&str]| {
        let chunk = |delta: &&str| format!(r#"{{"choices":[{{"index":0,{delta}}}]}}"#);
        let chunks: Vec<_> = chunks.iter().map(chunk).collect();
        read_stream(
            Chat,
            &data_events(&chunks.iter().map(String::as_str).collect::<Vec<_>>()),
        )
    };
    let empty_ids = calls(&[
        r#""delta":{"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"1"}}]}"#,
        r#""delta":{"tool_calls":[{"index":0,"id":"","function":{"name":"g","arguments":"2"}}]}"#,
    ]);
    assert_tools(&empty_ids, &[("", "f", "1"), ("", "g", "2")]);
    let new_ids = calls(&[
        r#""delta":{"tool_calls":[{"index":0,"id":"x-1","function":{"name":"f","arguments":""}}]}"#,
        r#""delta":{"tool_calls":[{"index":0,"id":"x-2","function":{"arguments":"1"}}]}"#,
        r#""delta":{"tool_calls":[{"index":0,"id":"x-3","function":{"arguments":"2"}}]}"#,
    ]);
    assert_tools(&new_ids, &[("x-1", "f", "12")]);
    let told_again = calls(&[
        r#""delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"1"}}]}"#,
        r#""delta":{},"message":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"1"}}]},"finish_reason":"tool_calls""#,
    ]);
    assert_tools(&told_again, &[("a", "f", "1")]);
    let legacy = calls(&[
        r#""delta":{"function_call":{"name":"f","arguments":"1"}}"#,
        r#""delta":{"function_call":{"arguments":"2"}}"#,
    ]);
    assert_tools(&legacy, &[("", "f", "12")]);
}

#[test]
fn reasoning_is_found_wherever_servers_put_it_and_once() {
    for message in [
        r#"{"reasoning":"Hm"}"#,
        r#"{"reasoning":"Hm","reasoning_content":"Hm"}"#,
        r#"{"reasoning":"Hm","reasoning_details":[{"type":"reasoning.text","text":"Hm"}]}"#,
        r#"{"reasoning_details":[{"type":"reasoning.text","text":"Hm"}]}"#,
        r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Hm"}]},{"type":"text","text":"Hi"}]}"#,
    ] {
        let facts = read_body(Chat, 200, &format!(r#"{{"choices":[{{"message":{message}}}]}}"#));
        assert_thoughts(&facts, &[(ThoughtSource::Reasoning, "Hm")]);
        let facts = read_stream(
            Chat,
            &data_events(&[&format!(r#"{{"choices":[{{"delta":{message}}}]}}"#)]),
        );
        assert_thoughts(&facts, &[(ThoughtSource::Reasoning, "Hm")]);
    }
}

#[test]
fn an_answer_of_several_choices_ends_with_the_last_of_them() {
    let begins = r#"{"choices":[{"index":0,"delta":{"role":"assistant"}},{"index":1,"delta":{"role":"assistant"}}]}"#;
    let ends = |index: u8| format!(r#"{{"choices":[{{"index":{index},"delta":{{}},"finish_reason":"stop"}}]}}"#);
    let (first, second) = (ends(0), ends(1));
    for (events, complete) in [
        (vec![begins, &first], false),
        (vec![begins, &first, &second], true),
        (vec![begins, &second, &first, "[DONE]"], true),
    ] {
        let facts = read_stream(Chat, &data_events(&events));
        assert_eq!(facts.complete, complete, "{events:?}");
    }
}
