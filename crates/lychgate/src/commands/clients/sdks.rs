//! The rows of the table that are libraries, and the command line that is one of them with a prompt.

use super::table::{Client, Form, Setting, Tested};
use lychgate_types::provider::{ProviderType, WireFamily};

const ANTHROPIC: Form = Form {
    family: WireFamily::Anthropic,
    only: &[],
    settings: &[Setting {
        place: "environment",
        language: "sh",
        text: "export ANTHROPIC_BASE_URL=@base@\nexport ANTHROPIC_API_KEY=\"$(cat @token-file@)\"\n",
    }],
};

const OPENAI: Form = Form {
    family: WireFamily::OpenAi,
    only: &[],
    settings: &[Setting {
        place: "environment",
        language: "sh",
        text: "export OPENAI_BASE_URL=@openai@\nexport OPENAI_API_KEY=\"$(cat @token-file@)\"\n",
    }],
};

/// In the order in which they are listed.
pub(super) const SDKS: &[Client] = &[
    Client {
        name: "anthropic",
        title: "Anthropic SDKs",
        forms: &[ANTHROPIC],
        recorded: "The client is `Unknown`.",
        notes: &[
            "In code: `Anthropic(base_url=…, api_key=…)`, in Node `new Anthropic({ baseURL, apiKey })`. The base URL is without `/v1`.",
            "With an Anthropic key of your own: that as the key, and the user token as the default header `x-lychgate-token`.",
        ],
        tested: Tested::BySuite,
    },
    Client {
        name: "anthropic-vertex",
        title: "Anthropic SDKs, AnthropicVertex",
        forms: &[Form {
            family: WireFamily::Anthropic,
            only: &[ProviderType::Vertex],
            settings: &[Setting {
                place: "environment",
                language: "sh",
                text: "export ANTHROPIC_VERTEX_BASE_URL=@base@/v1\nexport ANTHROPIC_VERTEX_PROJECT_ID=my-project\n\
                       export CLOUD_ML_REGION=my-location\nexport VERTEX_ACCESS_TOKEN=\"$(cat @token-file@)\"\n",
            }],
        }],
        recorded: "The client is `Unknown`.",
        notes: &[
            "Project and location are those of the provider; others are refused with 403.",
            "The token is given in code: `AnthropicVertex(access_token=os.environ[\"VERTEX_ACCESS_TOKEN\"])`.",
        ],
        tested: Tested::BySuite,
    },
    Client {
        name: "openai",
        title: "OpenAI SDKs",
        forms: &[OPENAI],
        recorded: "The client is `Unknown`.",
        notes: &[
            "In code: `OpenAI(base_url=…, api_key=…)`, in Node `new OpenAI({ baseURL, apiKey })`. The base URL is with `/v1`.",
            "With an OpenAI key of your own: that as the key, and the user token as the default header `x-lychgate-token`.",
        ],
        tested: Tested::BySuite,
    },
    Client {
        name: "azure-openai",
        title: "OpenAI SDKs, AzureOpenAI",
        forms: &[Form {
            family: WireFamily::OpenAi,
            only: &[ProviderType::AzureOpenAi],
            settings: &[Setting {
                place: "environment",
                language: "sh",
                text: "export AZURE_OPENAI_ENDPOINT=@base@\nexport AZURE_OPENAI_API_KEY=\"$(cat @token-file@)\"\n\
                       export OPENAI_API_VERSION=2024-10-21\n",
            }],
        }],
        recorded: "The client is `Unknown`. The model on record is the deployment that was asked for, the one that served is the model.",
        notes: &[
            "Any version that Azure knows will do. In Node, give it by OPENAI_API_VERSION: the SDK's own withOptions forgets `apiVersion`.",
            "The plain OpenAI clients go with this type too: `lychgate clients openai --type azure-openai`.",
        ],
        tested: Tested::BySuite,
    },
    Client {
        name: "aws-sdk",
        title: "AWS SDKs, AnthropicBedrock",
        forms: &[Form {
            family: WireFamily::Bedrock,
            only: &[],
            settings: &[Setting {
                place: "environment",
                language: "sh",
                text: "export AWS_ENDPOINT_URL_BEDROCK_RUNTIME=@base@\nexport ANTHROPIC_BEDROCK_BASE_URL=@base@\n\
                       export AWS_BEARER_TOKEN_BEDROCK=\"$(cat @token-file@)\"\n\
                       export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1\n",
            }],
        }],
        recorded: "The client is `Unknown`.",
        notes: &[
            "Any region will do: the provider's URL decides. Without a region the SDKs do not start.",
            "boto3 and others send the token over https only.",
            "A request that is signed with AWS credentials is refused (403): the token has to be there, and it wins over credentials that the \
             SDK finds elsewhere.",
            "The suite runs boto3 (InvokeModel and Converse) and AnthropicBedrock for Python.",
        ],
        tested: Tested::BySuite,
    },
    Client {
        name: "google-genai",
        title: "Google Gen AI SDKs",
        forms: &[Form {
            family: WireFamily::Gemini,
            only: &[],
            settings: &[Setting {
                place: "environment",
                language: "sh",
                text: "export GOOGLE_GEMINI_BASE_URL=@base@\nexport GEMINI_API_KEY=\"$(cat @token-file@)\"\n",
            }],
        }],
        recorded: "The client is `Unknown`.",
        notes: &[
            "GOOGLE_API_KEY in the environment wins over GEMINI_API_KEY: unset it.",
            "In code: `genai.Client(api_key=…, http_options={\"base_url\": …})`, in Node \
             `new GoogleGenAI({ apiKey, httpOptions: { baseUrl } })`. The base URL is without a version.",
            "A key in the URL (`?key=`) is refused. Files, cached contents, batches and the Live API are not relayed.",
        ],
        tested: Tested::BySuite,
    },
    Client {
        name: "langchain",
        title: "LangChain",
        forms: &[ANTHROPIC, OPENAI],
        recorded: "The client is `Unknown`.",
        notes: &["ChatAnthropic and ChatOpenAI read these variables. In code: `base_url=…, api_key=…`."],
        tested: Tested::ByHand("langchain-anthropic 1.7.10 and langchain-openai 1.7.4"),
    },
    Client {
        name: "ai-sdk",
        title: "Vercel AI SDK",
        forms: &[
            Form {
                family: WireFamily::Anthropic,
                only: &[],
                settings: &[Setting {
                    place: "code",
                    language: "typescript",
                    text: "import { createAnthropic } from \"@ai-sdk/anthropic\";\n\n\
                           const anthropic = createAnthropic({\n  baseURL: \"@base@/v1\",\n  \
                           apiKey: process.env.LYCHGATE_USER_TOKEN,\n});\n",
                }],
            },
            Form {
                family: WireFamily::OpenAi,
                only: &[],
                settings: &[Setting {
                    place: "code",
                    language: "typescript",
                    text: "import { createOpenAI } from \"@ai-sdk/openai\";\n\n\
                           const openai = createOpenAI({\n  baseURL: \"@openai@\",\n  \
                           apiKey: process.env.LYCHGATE_USER_TOKEN,\n});\n",
                }],
            },
        ],
        recorded: "The client is `Unknown`.",
        notes: &[
            "`export LYCHGATE_USER_TOKEN=\"$(cat @token-file@)\"`. The base URL has `/v1` at its end, also for Anthropic.",
        ],
        tested: Tested::ByHand("ai 7.0.173"),
    },
    Client {
        name: "llm",
        title: "llm",
        forms: &[Form {
            family: WireFamily::OpenAi,
            only: &[],
            settings: &[
                Setting {
                    place: "extra-openai-models.yaml, in the directory of `llm logs path`",
                    language: "yaml",
                    text: "- model_id: lychgate\n  model_name: MODEL\n  api_base: @openai@\n  api_key_name: lychgate\n",
                },
                Setting {
                    place: "a shell, once",
                    language: "sh",
                    text: "llm keys set lychgate < @token-file@\n",
                },
            ],
        }],
        recorded: "The client is `Unknown`.",
        notes: &["MODEL stands for a model of the provider. Then `llm -m lychgate 'What is a lychgate?'`."],
        tested: Tested::ByHand("0.36"),
    },
];
