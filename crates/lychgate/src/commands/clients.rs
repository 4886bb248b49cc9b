//! `lychgate clients`: the AI clients that are known to go with Lychgate, and for each the settings to paste. It asks no server: what
//! it prints comes from one table, and so do the pages in `docs/clients/`.

mod agents;
mod sdks;
mod table;

use crate::client::credentials::given_or_saved_url;
use crate::client::server_url;
use crate::config::Environment;
use crate::failure::{Failure, Outcome};
use crate::terminal::output::{Field, Format, FormatArgs, json, line, table as as_table, write};
use clap::Args;
use lychgate_types::Name;
use lychgate_types::provider::ProviderType;
use serde_json::{Value, json as value};
use table::{Client, Form, Values};

/// `lychgate clients`.
#[derive(Debug, Args)]
pub(crate) struct ClientsArgs {
    /// Client to print the settings for; without it all clients are listed
    #[arg(value_name = "CLIENT")]
    client: Option<String>,
    /// URL of the gateway that the client is to use: a replica's, or a control plane's, which has a gateway too. Of other commands it is the
    /// control plane's [default: LYCHGATE_URL, or the one saved by `lychgate login`]
    #[arg(long, value_name = "URL", requires = "client")]
    url: Option<String>,
    /// Type of the provider, where the client can use several [default: the first that `lychgate clients` lists for it]
    #[arg(long = "type", value_name = "TYPE", requires = "client")]
    provider_type: Option<ProviderType>,
    /// Name of the provider [default: its type]
    #[arg(long, value_name = "NAME", requires = "client")]
    provider: Option<String>,
    /// File that has the user token on the machine of the client; it is not read now
    #[arg(
        long,
        value_name = "FILE",
        default_value = "~/.config/lychgate/user-token",
        requires = "client"
    )]
    token_file: String,
    #[command(flatten)]
    format: FormatArgs,
}

const COLUMNS: &[Field] = &[
    Field("client", "name"),
    Field("name", "title"),
    Field("provider types", "provider_types"),
    Field("tested", "tested"),
];

/// Runs the command.
pub(crate) fn run(args: &ClientsArgs, environment: &Environment) -> Outcome {
    let Some(name) = &args.client else {
        return list(args.format.output);
    };
    let client = table::find(name)?;
    let provider_type = args.provider_type.unwrap_or_else(|| client.first_type());
    let form = client.form(provider_type).ok_or_else(|| {
        let types: Vec<_> = client.provider_types().map(ProviderType::as_str).collect();
        Failure::Usage(format!(
            "--type: {} has no settings for providers of the type {provider_type}, but for {}",
            client.title,
            types.join(", ")
        ))
    })?;
    let values = Values {
        gateway: gateway(args, environment)?,
        provider: provider(args, provider_type)?,
        provider_type,
        token_file: token_file(&args.token_file)?,
    };
    match args.format.output {
        Format::Table => write(&text(client, form, &values)),
        format => json(format, &described(client, form, &values)),
    }
}

fn list(format: Format) -> Outcome {
    let rows: Vec<Value> = table::all().map(listed).collect();
    match format {
        Format::Table => {
            write(&as_table(&rows, COLUMNS))?;
            line("\n`lychgate clients CLIENT` prints the settings for one.")
        }
        Format::Json => json(format, &value!({ "clients": rows })),
        Format::Jsonl => rows.iter().try_for_each(|row| json(format, row)),
    }
}

fn listed(client: &Client) -> Value {
    value!({
        "name": client.name,
        "title": client.title,
        "provider_types": client.provider_types().map(ProviderType::as_str).collect::<Vec<_>>(),
        "tested": client.tested.word(),
    })
}

fn gateway(args: &ClientsArgs, environment: &Environment) -> Outcome<String> {
    let url = match &args.url {
        Some(text) => server_url(text).map_err(|why| Failure::Usage(format!("--url: {why}")))?,
        None => given_or_saved_url(environment)?.ok_or_else(|| {
            Failure::Usage("no URL of a gateway: add --url, for example --url http://127.0.0.1:4001".to_owned())
        })?,
    };
    pasted("--url", url.to_string())
}

fn provider(args: &ClientsArgs, provider_type: ProviderType) -> Outcome<String> {
    let name = args.provider.as_deref().unwrap_or(provider_type.as_str());
    Name::parse(name)
        .map(|name| name.as_str().to_owned())
        .map_err(|why| Failure::Usage(format!("--provider: not a valid name: {why}")))
}

/// The path as it is right in every directory; `~` is left to the shell.
fn token_file(path: &str) -> Outcome<String> {
    let path = if path.starts_with('~') {
        path.to_owned()
    } else {
        let absolute = std::path::absolute(path).map_err(|why| Failure::Usage(format!("--token-file: {why}")))?;
        absolute.to_string_lossy().into_owned()
    };
    pasted("--token-file", path)
}

/// The text, where every shell and every file format takes it as it is.
fn pasted(option: &str, text: String) -> Outcome<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,~[]".contains(c);
    if text.is_empty() || !text.chars().all(is_plain) {
        return Err(Failure::Usage(format!(
            "{option}: this is pasted into shells and files, so it must be of letters, digits and / . _ - + : @ % , ~ [ ]"
        )));
    }
    Ok(text)
}

/// For people. What is to be pasted has lines of its own, as they are.
fn text(client: &Client, form: &Form, values: &Values) -> String {
    let mut text = format!(
        "{} with the provider {} of {}\n",
        client.title, values.provider, values.gateway
    );
    for setting in form.settings {
        text += &format!(
            "\n── {} ──\n\n{}\n",
            setting.place,
            values.fill(setting.text).trim_end()
        );
    }
    text += "\n── to know ──\n\n";
    for note in values.notes(client) {
        text += &format!("- {note}\n");
    }
    text
}

fn described(client: &Client, form: &Form, values: &Values) -> Value {
    let settings: Vec<Value> = form
        .settings
        .iter()
        .map(|setting| {
            value!({
                "place": setting.place,
                "language": setting.language,
                "text": values.fill(setting.text),
            })
        })
        .collect();
    value!({
        "name": client.name,
        "title": client.title,
        "url": values.gateway,
        "provider": values.provider,
        "provider_type": values.provider_type.as_str(),
        "settings": settings,
        "recorded": client.recorded,
        "notes": values.notes(client),
        "tested": client.tested.word(),
    })
}
