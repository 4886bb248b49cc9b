//! The rows of the table that are programs for people: coding agents, editors, command lines.

use super::table::{Client, Form, Setting, Tested};
use lychgate_types::provider::WireFamily;

/// In the order in which they are listed.
pub(super) const AGENTS: &[Client] = &[
    Client {
        name: "claude-code",
        title: "Claude Code",
        forms: &[
            Form {
                family: WireFamily::Anthropic,
                only: &[],
                settings: &[Setting {
                    place: "~/.claude/settings.json",
                    language: "json",
                    text: r#"{
  "apiKeyHelper": "cat @token-file@",
  "env": {
    "ANTHROPIC_BASE_URL": "@base@"
  }
}
"#,
                }],
            },
            Form {
                family: WireFamily::Bedrock,
                only: &[],
                settings: &[Setting {
                    place: "environment",
                    language: "sh",
                    text: "export CLAUDE_CODE_USE_BEDROCK=1\nexport ANTHROPIC_BEDROCK_BASE_URL=@base@\n\
                       export AWS_BEARER_TOKEN_BEDROCK=\"$(cat @token-file@)\"\nexport AWS_REGION=us-east-1\n",
                }],
            },
        ],
        recorded: "The client is `Claude Code`, with the session id that it shows. A tool's result is in the thread of the request that called it.",
        notes: &[
            "Unset ANTHROPIC_API_KEY and ANTHROPIC_AUTH_TOKEN: they would be sent too. In place of the file: \
             `export ANTHROPIC_BASE_URL=@base@ ANTHROPIC_AUTH_TOKEN=\"$(cat @token-file@)\"`.",
            "While a token is not valid, it asks apiKeyHelper again and tries again, ten times in some three minutes, until it says so; put a new \
             token into the file meanwhile. With ANTHROPIC_AUTH_TOKEN, or with `\"CLAUDE_CODE_MAX_RETRIES\": \"0\"` in `env`, it says so at once.",
            "Where a cache compares the beginnings of prompts, add `\"CLAUDE_CODE_ATTRIBUTION_HEADER\": \"0\"` to `env`: otherwise the first \
             line of the system prompt changes and the cache is not hit. Lychgate does not alter it.",
            "`\"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC\": \"1\"` in `env` stops what goes to other hosts than the gateway: updates, \
             statistics, error reports.",
            "With a provider of the type bedrock, any AWS_REGION will do: the provider's URL decides. ANTHROPIC_MODEL names a model of Bedrock's. \
             When it starts, it asks up to three models whether they are there: small requests that are on record.",
            "It says that there is an issue with the selected model for every 404, also where the URL is wrong (with `/v1` at its end, say). \
             `curl -s -X POST @base@/v1/messages` shows the gateway's own message.",
            "With an Anthropic key of your own: that in ANTHROPIC_API_KEY, no apiKeyHelper, and the user token in a header of its own, \
             `export ANTHROPIC_CUSTOM_HEADERS=\"x-lychgate-token: $(cat @token-file@)\"`.",
        ],
        tested: Tested::BySuite,
    },
    Client {
        name: "codex",
        title: "Codex",
        forms: &[Form {
            family: WireFamily::OpenAi,
            only: &[],
            settings: &[Setting {
                place: "~/.codex/config.toml",
                language: "toml",
                text: r#"model_provider = "lychgate"

[model_providers.lychgate]
name = "Lychgate"
base_url = "@openai@"
wire_api = "responses"
# Codex tries again whatever the error. With its default of 5 it takes seven seconds until it says that a token is not valid.
stream_max_retries = 3

[model_providers.lychgate.auth]
command = "sh"
args = ["-c", "cat @token-file@"]
"#,
            }],
        }],
        recorded: "The client is `Codex`, with its thread id as the session. A tool's result is in the thread of the request that called it.",
        notes: &[
            "Older versions know no `auth`: write `env_key = \"LYCHGATE_USER_TOKEN\"` in its place, and \
             `export LYCHGATE_USER_TOKEN=\"$(cat @token-file@)\"`.",
            "With `supports_websockets = true` beside `wire_api`, Codex makes its requests over one WebSocket, which is quicker for long \
             conversations: only what is new is sent. Each response is on record as before. Where the provider speaks no WebSockets, it goes \
             on over HTTP by itself.",
            "The provider has to speak the Responses API; many of the type openai-compatible speak only Chat Completions.",
            "A project's own .codex/config.toml can't name a model provider: the settings go into the user's.",
        ],
        tested: Tested::BySuite,
    },
    Client {
        name: "gemini-cli",
        title: "Gemini CLI",
        forms: &[Form {
            family: WireFamily::Gemini,
            only: &[],
            settings: &[
                Setting {
                    place: "environment",
                    language: "sh",
                    text: "export GOOGLE_GEMINI_BASE_URL=@base@\nexport GEMINI_API_KEY=\"$(cat @token-file@)\"\n",
                },
                Setting {
                    place: "~/.gemini/settings.json",
                    language: "json",
                    text: r#"{
  "security": {
    "auth": {
      "selectedType": "gemini-api-key"
    }
  }
}
"#,
                },
            ],
        }],
        recorded: "The client is `Gemini CLI`; it sends no session id.",
        notes: &[
            "Signing in with Google goes around the gateway: the selected type has to be gemini-api-key.",
            "GEMINI_API_KEY_AUTH_MECHANISM=bearer will do, too. Without a model (`--model`) it asks one first which to ask: that is on record, too.",
            "Files and cached contents of the Gemini API are not relayed.",
        ],
        tested: Tested::BySuite,
    },
    Client {
        name: "opencode",
        title: "OpenCode",
        forms: &[
            Form {
                family: WireFamily::Anthropic,
                only: &[],
                settings: &[Setting {
                    place: "~/.config/opencode/opencode.json",
                    language: "json",
                    text: r#"{
  "$schema": "https://opencode.ai/config.json",
  "provider": {
    "anthropic": {
      "options": {
        "baseURL": "@base@/v1",
        "apiKey": "{file:@token-file@}"
      }
    }
  }
}
"#,
                }],
            },
            Form {
                family: WireFamily::OpenAi,
                only: &[],
                settings: &[Setting {
                    place: "~/.config/opencode/opencode.json",
                    language: "json",
                    text: r#"{
  "$schema": "https://opencode.ai/config.json",
  "provider": {
    "openai": {
      "options": {
        "baseURL": "@openai@",
        "apiKey": "{file:@token-file@}"
      }
    }
  }
}
"#,
                }],
            },
            Form {
                family: WireFamily::Gemini,
                only: &[],
                settings: &[Setting {
                    place: "~/.config/opencode/opencode.json",
                    language: "json",
                    text: r#"{
  "$schema": "https://opencode.ai/config.json",
  "provider": {
    "google": {
      "options": {
        "baseURL": "@base@/v1beta",
        "apiKey": "{file:@token-file@}"
      }
    }
  }
}
"#,
                }],
            },
        ],
        recorded: "The client is `OpenCode`, with its session id.",
        notes: &[
            "The providers can stand beside each other in one file. The base URL has the version at its end, also for Anthropic.",
        ],
        tested: Tested::BySuite,
    },
    Client {
        name: "cursor",
        title: "Cursor",
        forms: &[Form {
            family: WireFamily::OpenAi,
            only: &[],
            settings: &[Setting {
                place: "Cursor Settings › Models › API Keys",
                language: "text",
                text: "OpenAI API Key            what is in @token-file@\nOverride OpenAI Base URL  @openai@\n",
            }],
        }],
        recorded: "The client is `Cursor` where its own header comes along, else `Unknown`.",
        notes: &[
            "Cursor sends these requests from its own servers: the gateway has to be reachable from the internet, by https.",
            "Completions while typing do not go through it.",
        ],
        tested: Tested::No,
    },
    Client {
        name: "copilot-cli",
        title: "GitHub Copilot CLI",
        forms: &[
            Form {
                family: WireFamily::OpenAi,
                only: &[],
                settings: &[Setting {
                    place: "environment",
                    language: "sh",
                    text: "export COPILOT_PROVIDER_TYPE=openai\nexport COPILOT_PROVIDER_BASE_URL=@openai@\n\
                           export COPILOT_PROVIDER_API_KEY=\"$(cat @token-file@)\"\nexport COPILOT_MODEL=MODEL\n",
                }],
            },
            Form {
                family: WireFamily::Anthropic,
                only: &[],
                settings: &[Setting {
                    place: "environment",
                    language: "sh",
                    text: "export COPILOT_PROVIDER_TYPE=anthropic\nexport COPILOT_PROVIDER_BASE_URL=@base@\n\
                           export COPILOT_PROVIDER_API_KEY=\"$(cat @token-file@)\"\nexport COPILOT_MODEL=MODEL\n",
                }],
            },
        ],
        recorded: "The client is `Unknown`: with a provider of one's own it does not say what it is.",
        notes: &[
            "MODEL stands for a model of the provider; it has to call tools and to stream.",
            "It sends one credential and no headers of one's own, so that a provider key of the user's own can't go along.",
        ],
        tested: Tested::ByHand("1.0.102"),
    },
    Client {
        name: "zed",
        title: "Zed",
        forms: &[
            Form {
                family: WireFamily::Anthropic,
                only: &[],
                settings: &[
                    Setting {
                        place: "~/.config/zed/settings.json",
                        language: "json",
                        text: r#"{
  "language_models": {
    "anthropic": {
      "api_url": "@base@"
    }
  }
}
"#,
                    },
                    Setting {
                        place: "environment",
                        language: "sh",
                        text: "export ANTHROPIC_API_KEY=\"$(cat @token-file@)\"\n",
                    },
                ],
            },
            Form {
                family: WireFamily::OpenAi,
                only: &[],
                settings: &[
                    Setting {
                        place: "~/.config/zed/settings.json",
                        language: "json",
                        text: r#"{
  "language_models": {
    "openai": {
      "api_url": "@openai@"
    }
  }
}
"#,
                    },
                    Setting {
                        place: "environment",
                        language: "sh",
                        text: "export OPENAI_API_KEY=\"$(cat @token-file@)\"\n",
                    },
                ],
            },
        ],
        recorded: "The client is `Zed`.",
        notes: &[
            "Started from a menu, Zed has no such environment: paste the user token as the provider's API key in its settings, which keep it in \
             the system's keychain.",
        ],
        tested: Tested::No,
    },
    Client {
        name: "cline",
        title: "Cline",
        forms: &[
            Form {
                family: WireFamily::Anthropic,
                only: &[],
                settings: &[Setting {
                    place: "Cline › Settings › API Configuration",
                    language: "text",
                    text: "API Provider         Anthropic\nAnthropic API Key    what is in @token-file@\nUse custom base URL  @base@\n",
                }],
            },
            Form {
                family: WireFamily::OpenAi,
                only: &[],
                settings: &[Setting {
                    place: "Cline › Settings › API Configuration",
                    language: "text",
                    text: "API Provider              OpenAI Compatible\nBase URL                  @openai@\n\
                           OpenAI Compatible API Key what is in @token-file@\nModel ID                  MODEL\n",
                }],
            },
        ],
        recorded: "The client is `Unknown`.",
        notes: &["MODEL stands for a model of the provider."],
        tested: Tested::No,
    },
    Client {
        name: "aider",
        title: "Aider",
        forms: &[
            Form {
                family: WireFamily::OpenAi,
                only: &[],
                settings: &[Setting {
                    place: "environment",
                    language: "sh",
                    text: "export OPENAI_API_BASE=@openai@\nexport OPENAI_API_KEY=\"$(cat @token-file@)\"\nexport AIDER_MODEL=openai/MODEL\n",
                }],
            },
            Form {
                family: WireFamily::Anthropic,
                only: &[],
                settings: &[Setting {
                    place: "environment",
                    language: "sh",
                    text: "export ANTHROPIC_BASE_URL=@base@\nexport ANTHROPIC_API_KEY=\"$(cat @token-file@)\"\nexport AIDER_MODEL=anthropic/MODEL\n",
                }],
            },
        ],
        recorded: "The client is `Unknown`.",
        notes: &[
            "MODEL stands for a model of the provider; the part before it says which API Aider speaks, and is not sent.",
        ],
        tested: Tested::ByHand("0.86.2"),
    },
];
