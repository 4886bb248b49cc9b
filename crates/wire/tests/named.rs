//! Whatever a body is, an object that it names to the most lenient of servers is found, or the body is refused.

use lychgate_types::provider::Api;
use lychgate_wire::read_request;
use proptest::prelude::*;

/// A value that some server takes.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "1e999",
            "NaN",
            "-Infinity",
            "01",
            "\"\\ud800\"",
            "\"\\\\\"",
            "\"\\\"\"",
            "\"\u{1}\n\"",
            "\"a\": 1}\"",
            "'",
            "\"file_id\"",
            "[{\"a\":[]}, {}]",
            "{\"file_id\":[]}",
            "{\"input\":{\"input\":[[]]}}",
            "null",
        ])
        .prop_map(str::to_owned),
        (1..400usize).prop_map(|depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth))),
        (1..400usize).prop_map(|depth| format!("{}1{}", r#"{"input":"#.repeat(depth), "}".repeat(depth))),
        any::<i64>().prop_map(|number| number.to_string()),
        "\\PC{0,20}".prop_map(|text| serde_json::Value::from(text).to_string()),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "\\ud800",
            "\\udc00x",
            "input",
            "metadata",
            "container",
            "\\\\",
            "\t",
            "\\/"
        ])
        .prop_map(str::to_owned),
        "[a-z]{0,12}",
    ]
}

/// The name as some server takes it.
fn spelled(name: &'static str) -> impl Strategy<Value = String> {
    prop::collection::vec(0..4u8, name.len()).prop_map(|ways| {
        let letters = name.chars().zip(ways);
        letters
            .map(|(letter, way)| match (way, letter) {
                (0, _) => letter.to_ascii_uppercase().to_string(),
                (1, _) => format!("\\u{:04x}", u32::from(letter)),
                (2, 's') => "\u{17f}".into(),
                (2, 'k') => "\u{212a}".into(),
                _ => letter.into(),
            })
            .collect()
    })
}

/// What is around an object to whose members providers look, up to it and behind it.
fn around() -> impl Strategy<Value = (String, String)> {
    let fixed = prop::sample::select(vec![
        (r#"{"input":["#, "]}"),
        (r#"{"metadata":[{"x":"#, "}]}"),
        (r#"{"tools":[{"container":"#, "}]}"),
        (r#"{"audio":"#, "}"),
        (r#"{"prompt":[{"variables":"#, "}]}"),
        (r#"{"messages":[{"content":[7,"#, "]}]}"),
    ]);
    let variable = prop_oneof![
        key(),
        prop::sample::select(vec!["file_id", "schema", "Parameters", "properties", "attributes"])
            .prop_map(str::to_owned)
    ];
    prop_oneof![
        Just((String::new(), String::new())),
        fixed.prop_map(|(begin, end)| (begin.into(), end.into())),
        (spelled("prompt"), spelled("variables"), variable).prop_map(|(prompt, variables, variable)| {
            let begin = format!(r#"{{"{prompt}":{{"id":"pmpt_1","{variables}":{{"{variable}":"#);
            (begin, "}}}".into())
        }),
    ]
}

proptest! {
    #[test]
    fn whatever_stands_before_it_a_named_object_is_found_or_the_body_refused(
        before in prop::collection::vec((key(), value()), 0..4),
        name in prop_oneof![spelled("file_id"), spelled("vector_store_ids"), spelled("skill_id"), spelled("container")],
        (begin, end) in around(),
        is_listed in any::<bool>(),
        mark in any::<bool>(),
    ) {
        let mut members: Vec<String> = before.iter().map(|(key, value)| format!(r#""{key}" : {value}"#)).collect();
        let named = if is_listed { r#"[7, "skill_victim"]"# } else { r#""skill_victim""# };
        members.push(format!(r#""{name}": {named}"#));
        let mark = if mark { "\u{feff}" } else { "" };
        let body = format!("{mark}{begin}{{\n{}}}{end}", members.join(",\r"));
        for api in Api::ALL {
            // Some read a member of ours in another place, and refuse it twice.
            if let Ok(facts) = read_request(*api, None, body.as_bytes()) {
                prop_assert!(facts.objects.iter().any(|id| id == "skill_victim"), "{} {} {:?}", api, body, facts.objects);
            }
        }
    }

    #[test]
    fn no_bytes_break_it(body in prop::collection::vec(prop::sample::select(b"{}[]\",:\\\0\xff file_id%u0".to_vec()), 0..64)) {
        for api in Api::ALL {
            let _ = read_request(*api, None, &body);
        }
    }
}
