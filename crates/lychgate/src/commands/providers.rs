//! `lychgate providers`: the upstreams that AI requests go to.

mod keys;
mod policy;
mod settings;

use super::listing::{ListArgs, Listing};
use super::name_or_id;
use crate::client::credentials::{ServerArgs, connect};
use crate::config::Environment;
use crate::failure::{Failure, Outcome};
use crate::terminal::output::{Field, Format, FormatArgs, json, note, record, table, write};
use crate::terminal::prompt::{YesArgs, confirm};
use clap::Subcommand;
use keys::{KeyArgs, key_from_input};
use lychgate_types::provider::ProviderType;
use policy::PolicyArgs;
use serde_json::Value;
use settings::SettingArgs;

/// `lychgate providers …`.
#[derive(Debug, clap::Args)]
pub(crate) struct ProvidersArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: ProvidersCommand,
}

#[derive(Debug, Subcommand)]
enum ProvidersCommand {
    /// Create a provider; its keys are read from files, environment variables or standard input.
    Create {
        /// 1 to 64 letters, digits and single dashes; clients reach the provider at /ai/NAME
        name: String,
        #[arg(long = "type", value_name = "TYPE", help = known_types())]
        provider_type: ProviderType,
        /// Base URL of its API [default: the public API of its type]
        #[arg(long, value_name = "URL")]
        base_url: Option<String>,
        #[command(flatten)]
        keys: KeyArgs,
        /// Allow the base URL to have a loopback, private or link-local address
        #[arg(long)]
        allow_private: bool,
        /// Create the provider disabled
        #[arg(long)]
        disabled: bool,
        #[command(flatten)]
        settings: SettingArgs,
        #[command(flatten)]
        policy: PolicyArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// List providers, oldest first.
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show a provider with its policy; its keys are masked.
    Show {
        /// Name or id of the provider
        name: String,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Change a provider; settings that are not given stay as they are.
    Update {
        /// Name or id of the provider
        name: String,
        /// Base URL of its API
        #[arg(long, value_name = "URL")]
        base_url: Option<String>,
        /// Whether the base URL may have a loopback, private or link-local address
        #[arg(long, value_name = "BOOL")]
        allow_private: Option<bool>,
        #[command(flatten)]
        keys: KeyArgs,
        /// Read a key from standard input
        #[arg(long)]
        key_stdin: bool,
        /// Id of a key to keep; repeatable. New keys replace all keys that are not kept
        #[arg(long, value_name = "ID")]
        keep_key: Vec<String>,
        #[command(flatten)]
        settings: SettingArgs,
        #[command(flatten)]
        policy: PolicyArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Enable a provider.
    Enable {
        /// Name or id of the provider
        name: String,
    },
    /// Disable a provider: requests to it are refused.
    Disable {
        /// Name or id of the provider
        name: String,
    },
    /// Delete a provider and its keys.
    Delete {
        /// Name or id of the provider
        name: String,
        #[command(flatten)]
        yes: YesArgs,
    },
}

const LISTING: Listing = Listing {
    path: PATH,
    entries: "providers",
    columns: &[
        Field("name", "name"),
        Field("type", "type"),
        Field("enabled", "enabled"),
        Field("base url", "base_url"),
    ],
    more: &[
        Field("allow private", "allow_private"),
        Field("settings", "setting_hints"),
        Field("keys", "key_hints"),
        Field("id", "id"),
    ],
};

const FIELDS: &[Field] = &[
    Field("id", "id"),
    Field("name", "name"),
    Field("type", "type"),
    Field("base url", "base_url"),
    Field("enabled", "enabled"),
    Field("allow private", "allow_private"),
    Field("settings", "setting_hints"),
    Field("keys", "key_hints"),
    Field("created", "created_at"),
    Field("updated", "updated_at"),
];

const POLICY_COLUMNS: &[Field] = &[Field("policy", "setting"), Field("value", "value")];

const PATH: &str = "ai-gateway/providers";

/// Runs the command.
pub(crate) async fn run(args: ProvidersArgs, environment: &Environment) -> Outcome {
    let api = connect(&args.server, environment)?;
    let path = |name: &str| Ok::<_, Failure>(format!("{PATH}/{}", name_or_id(name)?));
    match args.command {
        ProvidersCommand::Create {
            name,
            provider_type,
            base_url,
            keys,
            allow_private,
            disabled,
            settings,
            policy,
            format,
        } => {
            let policy = policy.member()?;
            let mut keys = keys.read(environment)?;
            if keys.is_empty() {
                keys.push(key_from_input(&name)?);
            }
            let mut body = serde_json::json!({ "name": name, "type": provider_type, "keys": keys });
            if let Some(url) = base_url {
                body["base_url"] = url.into();
            }
            if allow_private {
                body["allow_private"] = true.into();
            }
            if disabled {
                body["enabled"] = false.into();
            }
            if let Some(settings) = settings.member()? {
                body["settings"] = settings;
            }
            if let Some(policy) = policy {
                body["policy"] = policy;
            }
            let answer = api.post(PATH, &body).await?;
            show(format.output, answer)
        }
        ProvidersCommand::List { list } => {
            let explained = async |rows: Vec<Value>| Ok(rows.into_iter().map(with_hints).collect());
            LISTING.print_with(&api, Vec::new(), list, explained).await
        }
        ProvidersCommand::Show { name, format } => {
            let answer = api.get(&path(&name)?).await?;
            show(format.output, answer)
        }
        ProvidersCommand::Update {
            name,
            base_url,
            allow_private,
            keys,
            key_stdin,
            keep_key,
            settings,
            policy,
            format,
        } => {
            let path = path(&name)?;
            let changes = Changes {
                base_url,
                allow_private,
                settings: settings.member()?,
                policy: policy.member()?,
            };
            let mut added = keys.read(environment)?;
            if key_stdin {
                added.push(key_from_input(&name)?);
            }
            let patch = patch(changes, keep_key, added)?;
            let answer = api.patch(&path, &patch).await?;
            show(format.output, answer)
        }
        ProvidersCommand::Enable { name } => {
            api.patch(&path(&name)?, &serde_json::json!({ "enabled": true }))
                .await?;
            note(&format!("provider {name} is enabled"));
            Ok(())
        }
        ProvidersCommand::Disable { name } => {
            api.patch(&path(&name)?, &serde_json::json!({ "enabled": false }))
                .await?;
            note(&format!("provider {name} is disabled"));
            Ok(())
        }
        ProvidersCommand::Delete { name, yes } => {
            let path = path(&name)?;
            confirm(&yes, &format!("Delete provider {name} and its keys?"))?;
            api.delete(&path).await?;
            note(&format!("deleted provider {name}"));
            Ok(())
        }
    }
}

/// The provider types that this version knows.
fn known_types() -> String {
    let known: Vec<_> = ProviderType::ALL.iter().map(|known| known.as_str()).collect();
    format!("One of {}", known.join(", "))
}

/// What is to be changed beside keys.
#[derive(Debug, Default)]
struct Changes {
    base_url: Option<String>,
    allow_private: Option<bool>,
    settings: Option<Value>,
    policy: Option<Value>,
}

/// The change asked for; asking for none is an error.
fn patch(changes: Changes, keep: Vec<String>, added: Vec<String>) -> Outcome<Value> {
    let members = [
        ("base_url", changes.base_url.map(Value::from)),
        ("allow_private", changes.allow_private.map(Value::from)),
        ("settings", changes.settings),
        ("policy", changes.policy),
    ];
    let given = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let mut patch: serde_json::Map<_, _> = given.collect();
    let kept = keep.into_iter().map(|id| serde_json::json!({ "id": id }));
    let keys: Vec<Value> = kept
        .chain(added.into_iter().map(|key| serde_json::json!({ "key": key })))
        .collect();
    if !keys.is_empty() {
        patch.insert("keys".to_owned(), keys.into());
    }
    if patch.is_empty() {
        return Err(Failure::Usage(
            "nothing to change: give at least one of --base-url, --allow-private, --setting, --policy, --keep-key, --key-file, --key-env and --key-stdin".to_owned(),
        ));
    }
    Ok(patch.into())
}

fn show(format: Format, answer: Value) -> Outcome {
    match format {
        Format::Json | Format::Jsonl => json(format, &answer),
        Format::Table => {
            let policy = policy::rows(&answer["policy"]);
            record(format, &with_hints(answer), FIELDS)?;
            if policy.is_empty() {
                return Ok(());
            }
            write(&format!("\n{}", table(&policy, POLICY_COLUMNS)))
        }
    }
}

/// Adds one text for each key (`sk-a…cdef (id)`) and each setting for tables.
fn with_hints(mut provider: Value) -> Value {
    let keys = provider["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |key: &Value, field: &str| key[field].as_str().unwrap_or("?").to_owned();
    let hints: Vec<String> = keys
        .iter()
        .map(|key| format!("{} ({})", text(key, "masked"), text(key, "id")))
        .collect();
    provider["key_hints"] = hints.into();
    provider["setting_hints"] = settings::hints(&provider["settings"]).into();
    provider
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_says_only_what_changes() {
        let some = |text: &str| Some(text.to_owned());
        let only = |changes: Changes| patch(changes, Vec::new(), Vec::new());
        assert_eq!(
            only(Changes {
                base_url: some("http://h"),
                ..Changes::default()
            })
            .unwrap(),
            serde_json::json!({ "base_url": "http://h" })
        );
        let (policy, settings) = (
            serde_json::json!({ "http2": true }),
            serde_json::json!({ "region": null }),
        );
        let changes = Changes {
            settings: Some(settings.clone()),
            policy: Some(policy.clone()),
            ..Changes::default()
        };
        assert_eq!(
            only(changes).unwrap(),
            serde_json::json!({ "policy": policy, "settings": settings })
        );
        let changes = Changes {
            allow_private: Some(true),
            ..Changes::default()
        };
        assert_eq!(
            patch(changes, vec!["1".to_owned()], vec!["k".to_owned()]).unwrap(),
            serde_json::json!({ "allow_private": true, "keys": [{ "id": "1" }, { "key": "k" }] })
        );
        assert_eq!(only(Changes::default()).unwrap_err().exit_code(), 2);
    }
}
