use super::*;

#[test]
fn a_place_holder_is_one_segment_that_all_readers_take_for_the_same() {
    let of = |path| AllowedPath::unrecorded(path, "GET").with_model_letters(":@/");
    for (segment, id, model) in [
        ("resp_0123-a.b:c~d", true, true),
        ("gpt-4.1..x", true, true),
        ("...", true, true),
        ("", false, false),
        (".", false, false),
        ("..", false, false),
        ("a/b", false, false),
        ("a;b", false, false),
        ("a b", false, false),
        ("a%20b", false, false),
        ("..%20", false, false),
        ("%2e%2e", false, false),
        ("%c0%ae%c0%ae", false, false),
        ("．．", false, false),
        ("a\\b", false, false),
        ("a@b", false, true),
        ("org%2Fmodel%3Afree%40x", false, true),
        ("org%2fmodel%3afree", false, true),
        ("%2Fmodel", false, false),
        ("org%2F", false, false),
        ("org%2F%2Fmodel", false, false),
        ("org%2F..%2Ffiles", false, false),
        ("org%2F.%3Ax", false, false),
        ("a@", false, false),
        ("%", false, false),
        ("%2", false, false),
        ("a%3", false, false),
        ("a%é", false, false),
        ("a%252Fb", false, false),
    ] {
        assert_eq!(of("/v1/x/{id}").matches(&format!("/v1/x/{segment}")), id, "{segment}");
        assert_eq!(
            of("/v1/x/{model}").matches(&format!("/v1/x/{segment}")),
            model,
            "{segment}"
        );
        assert_eq!(of("/{id}/items").matches(&format!("/{segment}/items")), id, "{segment}");
    }
    for (segment, model) in [
        ("gemini-x:generateContent", Some("gemini-x")),
        ("gemini-x%3AgenerateContent", Some("gemini-x")),
        ("gemini-x%3agenerateContent", Some("gemini-x")),
        ("claude-x@2025%2Fy:generateContent", Some("claude-x@2025/y")),
        ("a:b:generateContent", Some("a:b")),
        ("a:generatecontent", None),
        ("a:generateContent:", None),
        ("a:%67enerateContent", None),
        ("generateContent", None),
        (":generateContent", None),
        ("..:generateContent", None),
        ("..%2Fx:generateContent", None),
        ("a:streamGenerateContent", None),
    ] {
        let verb = of("/v1/x/{model}:generateContent");
        let path = format!("/v1/x/{segment}");
        let found = verb.matches(&path).then(|| verb.model_in(&path).unwrap());
        assert_eq!(found.as_deref(), model, "{segment}");
    }
    for path in ["/v1/x", "/v1/x/a/", "/v1/x/a/b", "v1/x/a", "//v1/x/a", "/v1//x/a"] {
        assert!(!of("/v1/x/{id}").matches(path), "{path}");
    }
}

#[test]
fn a_models_name_has_only_letters_that_such_names_have() {
    for (letters, segment, fits) in [
        ("", "gpt:x", false),
        ("", "gpt%3Ax", false),
        ("", "gpt%3ax", false),
        (":", "gpt:x", true),
        (":", "gpt%3Ax", true),
        ("", "gpt%2Fextensions", false),
        ("", "gpt%2fextensions", false),
        ("", "gpt@1", false),
        ("", "gpt%401", false),
        ("@", "gpt%401", true),
        ("@", "gpt@1", true),
        ("@", "org%2Fgpt", false),
        ("/", "org%2Fgpt", true),
        ("/", "org%2Fgpt@1", false),
    ] {
        let path = AllowedPath::unrecorded("/d/{model}/chat", "POST").with_model_letters(letters);
        assert_eq!(path.matches(&format!("/d/{segment}/chat")), fits, "{letters} {segment}");
    }
    let stored = AllowedPath::unrecorded("/stored/{model}:go", "POST").with_model_prefix("stored/");
    assert_eq!(stored.model_in("/stored/x:go").as_deref(), Some("stored/x"));
    assert_eq!(
        stored.with_model("/stored/x:go", "stored/y").as_deref(),
        Some("/stored/y:go")
    );
    assert_eq!(stored.with_model("/stored/x:go", "y"), None);
    let plain = AllowedPath::unrecorded("/d/{model}/chat", "POST");
    assert_eq!((plain.for_model("org/x"), plain.for_model("x@1")), (None, None));
}

#[test]
fn a_path_is_written_for_a_model() {
    let of = |path| AllowedPath::unrecorded(path, "POST").with_model_letters(":@/");
    for (path, model, written) in [
        ("/v1/models/{model}:go", "b", Some("/v1/models/b:go")),
        ("/d/{model}/chat", "org/b:free@1", Some("/d/org%2Fb:free@1/chat")),
        ("/d/{model}/chat", "..", None),
        ("/d/{model}/chat", "a/../b", None),
        ("/d/{model}/chat", "a b", None),
        ("/d/{model}/chat", "a?b", None),
        ("/d/{model}/chat", "", None),
        ("/v1/chat", "b", Some("/v1/chat")),
        ("/v1/chat/{id}", "b", None),
    ] {
        assert_eq!(of(path).for_model(model).as_deref(), written, "{path} {model}");
    }
    let renamed = of("/p/{id}/{model}:go").with_model("/p/x/a%3Ago", "b");
    assert_eq!(renamed.as_deref(), Some("/p/x/b:go"));
    let either = of("/{v1beta|v1}/models/{model}:go");
    assert_eq!(
        either.with_model("/v1/models/a:go", "b").as_deref(),
        Some("/v1/models/b:go")
    );
    assert_eq!(either.for_model("b").as_deref(), Some("/v1beta/models/b:go"));
}

#[test]
fn an_operation_may_be_offered_below_several_roots() {
    const OPERATIONS: &[AllowedPath] = &[
        AllowedPath::unrecorded("/chat", "POST"),
        AllowedPath::unrecorded("/chat/{id}", "GET"),
    ];
    const ALL: [AllowedPath; 4] = below([("/v1", OPERATIONS), ("/d/{model}", OPERATIONS)]);
    for (path, at) in [
        ("/v1/chat", Some(0)),
        ("/v1/chat/x", Some(1)),
        ("/d/m/chat", Some(2)),
        ("/d/m/chat/x", Some(3)),
        ("/d/chat", None),
        ("/v1chat", None),
        ("/v1", None),
        ("d/m/chat", None),
        ("/d/../chat", None),
        ("//v1/chat", None),
    ] {
        assert_eq!(ALL.iter().position(|allowed| allowed.matches(path)), at, "{path}");
    }
    assert_eq!(ALL[2].model_in("/d/m/chat").as_deref(), Some("m"));
    assert_eq!(ALL[2].for_model("n").as_deref(), Some("/d/n/chat"));
    assert_eq!(ALL[3].to_string(), "/d/{model}/chat/{id}");
}

#[test]
fn an_arn_may_have_its_slashes_as_they_are_where_arns_are_taken() {
    let entry = AllowedPath {
        takes_arns: true,
        model_letters: ":/",
        ..AllowedPath::unrecorded("/model/{model}/invoke", "POST")
    };
    let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-x-v1:0";
    let escaped = "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.anthropic.claude-x-v1%3A0";
    for (segment, model, upstream) in [
        ("us.anthropic.claude-x-v1:0", Some("us.anthropic.claude-x-v1:0"), None),
        ("us.anthropic.claude-x-v1%3A0", Some("us.anthropic.claude-x-v1:0"), None),
        (arn, Some(arn), Some(arn.replace('/', "%2F"))),
        (escaped, Some(arn), None),
        (
            "arn:aws:bedrock:r:1:custom-model/base/id",
            Some("arn:aws:bedrock:r:1:custom-model/base/id"),
            Some("arn:aws:bedrock:r:1:custom-model%2Fbase%2Fid".to_owned()),
        ),
        ("vendor/model", None, None),
        ("arn:x/../y", None, None),
        ("arn:x//y", None, None),
        ("arn:x/%2e%2e", None, None),
    ] {
        let path = format!("/model/{segment}/invoke");
        let found = entry.matches(&path).then(|| entry.model_in(&path).unwrap());
        assert_eq!(found.as_deref(), model, "{segment}");
        if model.is_some() {
            let wanted = format!("/model/{}/invoke", upstream.as_deref().unwrap_or(segment));
            assert_eq!(entry.canonical(&path), wanted);
        }
    }
    let path = format!("/model/{arn}/invoke");
    assert_eq!(entry.with_model(&path, "m:0").as_deref(), Some("/model/m:0/invoke"));
    assert_eq!(
        entry.with_model("/model/m/invoke", arn).as_deref(),
        Some(format!("/model/{}/invoke", arn.replace('/', "%2F")).as_str())
    );
    let other = AllowedPath::unrecorded("/model/{model}/invoke", "POST");
    assert!(!other.matches(&path), "only where the entry says so");
}
