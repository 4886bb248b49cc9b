//! Which official clients the suite runs, in which tests, and what each of them tries. The tests hold themselves to it, and
//! `docs/clients/` is made from it ([`crate::client_pages`]).

/// What one test does with one client.
pub(crate) struct Conversation {
    /// The test, by its module and name.
    pub(crate) test: &'static str,
    /// The client, as `lychgate clients` calls it.
    pub(crate) client: &'static str,
    /// Where it is pinned, below `tests-sdk/`, and its name there.
    pub(crate) package: (&'static str, &'static str),
    /// Of the provider that it talks to.
    pub(crate) provider_type: &'static str,
    pub(crate) tried: &'static [&'static str],
}

const PYTHON: &str = "requirements.txt";
const NODE: &str = "node/package.json";
const CLIENTS: &str = "clients/package.json";

const ANTHROPIC: &[&str] = &[
    "blocking",
    "streaming",
    "thinking",
    "tools",
    "beside",
    "errors",
    "timeouts",
    "retries",
    "cancelled",
];
const OPENAI_PYTHON: &[&str] = &[
    "blocking",
    "streaming",
    "tools",
    "responses",
    "silence",
    "response_tools",
    "beside",
    "errors",
    "timeouts",
    "retries",
    "cancelled",
];
const OPENAI_NODE: &[&str] = &[
    "blocking",
    "streaming",
    "tools",
    "responses",
    "response_tools",
    "beside",
    "errors",
    "timeouts",
    "retries",
    "cancelled",
];
const GENAI_PYTHON: &[&str] = &[
    "blocking",
    "streaming",
    "silence",
    "thinking",
    "tools",
    "beside",
    "errors",
    "timeouts",
    "retries",
    "cancelled",
];
const GENAI_NODE: &[&str] = &[
    "blocking",
    "streaming",
    "thinking",
    "tools",
    "beside",
    "errors",
    "timeouts",
    "retries",
    "cancelled",
];

/// What is tried, in words.
pub(crate) const MEANINGS: &[(&str, &str)] = &[
    (
        "blocking",
        "answers in one piece, with their usage, also from the cache",
    ),
    (
        "streaming",
        "events as they come, split and spelled in every way, slow ones, and a provider that is silent for a while",
    ),
    ("thinking", "thoughts with their signatures, sent back in the next turn"),
    ("tools", "one and several calls, their results sent back"),
    ("responses", "the Responses API, blocking and streamed, with thoughts"),
    ("response_tools", "tools of the Responses API"),
    (
        "silence",
        "a provider that is silent for a while, while the stream is kept alive",
    ),
    (
        "beside",
        "what is no generation: counting tokens, lists of models, embeddings",
    ),
    (
        "errors",
        "each error of the provider, and those of the gateway, as the client's own kind of error",
    ),
    ("timeouts", "a client that has no patience for a late answer"),
    ("retries", "the client's own retries, each attempt on record"),
    (
        "cancelled",
        "clients that leave in mid-stream, in every way that they have",
    ),
    (
        "turn",
        "a turn with a tool call: what the client shows, session and usage, is what is on record",
    ),
    ("websocket", "the same over one WebSocket"),
    (
        "invoke",
        "InvokeModel, blocking and in frames, with ids and ARNs, and a provider that is silent for a while",
    ),
    (
        "converse",
        "Converse, blocking and in frames, with a tool, and a provider that is silent for a while",
    ),
    (
        "anthropic_bedrock",
        "AnthropicBedrock of Anthropic's SDK, blocking and streamed, and a provider that is silent for a while",
    ),
    (
        "wrong_settings",
        "a wrong token and a wrong URL end within seconds and are told in a sentence",
    ),
];

/// All of them.
pub(crate) const CONVERSATIONS: &[Conversation] = &[
    Conversation {
        test: "clients::what_claude_code_shows_is_on_record",
        client: "claude-code",
        package: (CLIENTS, "@anthropic-ai/claude-code"),
        provider_type: "anthropic",
        tried: &["turn"],
    },
    Conversation {
        test: "clients::what_claude_code_shows_in_bedrock_form_is_on_record",
        client: "claude-code",
        package: (CLIENTS, "@anthropic-ai/claude-code"),
        provider_type: "bedrock",
        tried: &["turn"],
    },
    Conversation {
        test: "clients::what_codex_shows_is_on_record",
        client: "codex",
        package: (CLIENTS, "@openai/codex"),
        provider_type: "openai",
        tried: &["turn"],
    },
    Conversation {
        test: "clients::what_codex_shows_over_a_websocket_is_on_record",
        client: "codex",
        package: (CLIENTS, "@openai/codex"),
        provider_type: "openai",
        tried: &["websocket"],
    },
    Conversation {
        test: "clients::a_silent_provider_disturbs_neither",
        client: "claude-code",
        package: (CLIENTS, "@anthropic-ai/claude-code"),
        provider_type: "anthropic",
        tried: &["silence"],
    },
    Conversation {
        test: "clients::a_silent_provider_disturbs_neither",
        client: "codex",
        package: (CLIENTS, "@openai/codex"),
        provider_type: "openai",
        tried: &["silence"],
    },
    Conversation {
        test: "clients::a_wrong_setting_ends_both_soon_with_what_is_wrong",
        client: "claude-code",
        package: (CLIENTS, "@anthropic-ai/claude-code"),
        provider_type: "anthropic",
        tried: &["wrong_settings"],
    },
    Conversation {
        test: "clients::a_wrong_setting_ends_both_soon_with_what_is_wrong",
        client: "codex",
        package: (CLIENTS, "@openai/codex"),
        provider_type: "openai",
        tried: &["wrong_settings"],
    },
    Conversation {
        test: "sdk::python_anthropic",
        client: "anthropic",
        package: (PYTHON, "anthropic"),
        provider_type: "anthropic",
        tried: ANTHROPIC,
    },
    Conversation {
        test: "sdk::python_anthropic_foundry",
        client: "anthropic",
        package: (PYTHON, "anthropic"),
        provider_type: "azure-foundry",
        tried: ANTHROPIC,
    },
    Conversation {
        test: "sdk::python_anthropic_vertex",
        client: "anthropic-vertex",
        package: (PYTHON, "anthropic"),
        provider_type: "vertex",
        tried: ANTHROPIC,
    },
    Conversation {
        test: "sdk::node_anthropic",
        client: "anthropic",
        package: (NODE, "@anthropic-ai/sdk"),
        provider_type: "anthropic",
        tried: ANTHROPIC,
    },
    Conversation {
        test: "sdk::python_openai",
        client: "openai",
        package: (PYTHON, "openai"),
        provider_type: "openai",
        tried: OPENAI_PYTHON,
    },
    Conversation {
        test: "sdk::python_openai_at_openrouter",
        client: "openai",
        package: (PYTHON, "openai"),
        provider_type: "openrouter",
        tried: OPENAI_PYTHON,
    },
    Conversation {
        test: "sdk::node_openai",
        client: "openai",
        package: (NODE, "openai"),
        provider_type: "openai",
        tried: OPENAI_NODE,
    },
    Conversation {
        test: "sdk::python_azure_openai",
        client: "azure-openai",
        package: (PYTHON, "openai"),
        provider_type: "azure-openai",
        tried: OPENAI_PYTHON,
    },
    Conversation {
        test: "sdk::node_azure_openai",
        client: "azure-openai",
        package: (NODE, "openai"),
        provider_type: "azure-openai",
        tried: OPENAI_NODE,
    },
    Conversation {
        test: "sdk::python_genai",
        client: "google-genai",
        package: (PYTHON, "google-genai"),
        provider_type: "gemini",
        tried: GENAI_PYTHON,
    },
    Conversation {
        test: "sdk::node_genai",
        client: "google-genai",
        package: (NODE, "@google/genai"),
        provider_type: "gemini",
        tried: GENAI_NODE,
    },
    Conversation {
        test: "gemini_cli::what_gemini_cli_shows_is_on_record",
        client: "gemini-cli",
        package: (CLIENTS, "@google/gemini-cli"),
        provider_type: "gemini",
        tried: &["turn"],
    },
    Conversation {
        test: "gemini_cli::a_silent_provider_does_not_disturb_it_and_a_bearer_token_is_taken",
        client: "gemini-cli",
        package: (CLIENTS, "@google/gemini-cli"),
        provider_type: "gemini",
        tried: &["silence"],
    },
    Conversation {
        test: "gemini_cli::a_wrong_token_is_told",
        client: "gemini-cli",
        package: (CLIENTS, "@google/gemini-cli"),
        provider_type: "gemini",
        tried: &["wrong_settings"],
    },
    Conversation {
        test: "opencode::a_provider_of_each_family_serves_it",
        client: "opencode",
        package: (CLIENTS, "opencode-linux-x64"),
        provider_type: "anthropic",
        tried: &["silence"],
    },
    Conversation {
        test: "opencode::a_provider_of_each_family_serves_it",
        client: "opencode",
        package: (CLIENTS, "opencode-linux-x64"),
        provider_type: "openai",
        tried: &["silence"],
    },
    Conversation {
        test: "opencode::a_provider_of_each_family_serves_it",
        client: "opencode",
        package: (CLIENTS, "opencode-linux-x64"),
        provider_type: "gemini",
        tried: &["silence"],
    },
    Conversation {
        test: "sdk::python_bedrock",
        client: "aws-sdk",
        package: (PYTHON, "boto3"),
        provider_type: "bedrock",
        tried: &["invoke", "converse", "errors", "anthropic_bedrock"],
    },
];

/// The place in the list of what this test does first.
pub(crate) fn named(test: &str) -> usize {
    let found = CONVERSATIONS.iter().position(|one| one.test == test);
    found.unwrap_or_else(|| panic!("{test} is not in the list of conversations"))
}
