//! `lychgate routes`: where requests for certain models go.

mod target;

use super::listing::{ListArgs, Listing};
use super::name_or_id;
use crate::client::credentials::{ServerArgs, connect};
use crate::config::Environment;
use crate::failure::{Failure, Outcome};
use crate::terminal::output::{Field, Format, FormatArgs, json, note, record};
use crate::terminal::prompt::{YesArgs, confirm};
use clap::Subcommand;
use serde_json::{Map, Value};
use target::{Fallback, Target, texts};

/// `lychgate routes …`.
#[derive(Debug, clap::Args)]
pub(crate) struct RoutesArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: RoutesCommand,
}

#[derive(Debug, Subcommand)]
enum RoutesCommand {
    /// Create a route; it takes effect on all replicas at once.
    Create {
        /// 1 to 64 letters, digits and single dashes; stored in lower case
        name: String,
        /// Provider that clients send the requests to, by name or id
        #[arg(long, value_name = "PROVIDER")]
        provider: String,
        /// Model that clients request, or a prefix and *; an exact name wins over a prefix, a longer prefix over a shorter one
        #[arg(long, value_name = "MODEL")]
        model: String,
        /// Where requests go; repeatable. Each request goes to one target, chosen at random by weight (default 1). A number after
        /// the last colon is the weight: if the model itself ends like that, give the weight too
        #[arg(long, required = true, value_name = "PROVIDER[=MODEL][:WEIGHT]")]
        target: Vec<Target>,
        /// Where a request goes next if its target fails; repeatable, tried in order
        #[arg(long, value_name = "PROVIDER[=MODEL]")]
        fallback: Vec<Fallback>,
        /// Create the route disabled
        #[arg(long)]
        disabled: bool,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// List routes, oldest first.
    List {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show a route.
    Show {
        /// Name or id of the route
        name: String,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Change a route; settings that are not given stay as they are.
    Update {
        /// Name or id of the route
        name: String,
        #[command(flatten)]
        change: Change,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Enable a route.
    Enable {
        /// Name or id of the route
        name: String,
    },
    /// Disable a route: its requests go to the provider that clients send them to.
    Disable {
        /// Name or id of the route
        name: String,
    },
    /// Delete a route: its requests go to the provider that clients send them to.
    Delete {
        /// Name or id of the route
        name: String,
        #[command(flatten)]
        yes: YesArgs,
    },
}

/// What an update changes.
#[derive(Debug, Default, clap::Args)]
struct Change {
    /// Provider that clients send the requests to, by name or id
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<String>,
    /// Model that clients request, or a prefix and *
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Where requests go, replacing all current targets; repeatable
    #[arg(long, value_name = "PROVIDER[=MODEL][:WEIGHT]")]
    target: Vec<Target>,
    /// Where a request goes next if its target fails, replacing all current fallbacks; repeatable
    #[arg(long, value_name = "PROVIDER[=MODEL]")]
    fallback: Vec<Fallback>,
    /// Remove all fallbacks
    #[arg(long, conflicts_with = "fallback")]
    no_fallbacks: bool,
}

const LISTING: Listing = Listing {
    path: PATH,
    entries: "routes",
    columns: &[
        Field("name", "name"),
        Field("provider", "provider.name"),
        Field("model", "model"),
        Field("enabled", "enabled"),
        Field("targets", "target_texts"),
        Field("fallbacks", "fallback_texts"),
    ],
    more: &[Field("id", "id")],
};

const FIELDS: &[Field] = &[
    Field("id", "id"),
    Field("name", "name"),
    Field("provider", "provider.name"),
    Field("model", "model"),
    Field("targets", "target_texts"),
    Field("fallbacks", "fallback_texts"),
    Field("enabled", "enabled"),
    Field("created", "created_at"),
    Field("updated", "updated_at"),
];

const PATH: &str = "ai-gateway/routes";

/// Runs the command.
pub(crate) async fn run(args: RoutesArgs, environment: &Environment) -> Outcome {
    let api = connect(&args.server, environment)?;
    let path = |name: &str| Ok::<_, Failure>(format!("{PATH}/{}", name_or_id(name)?));
    match args.command {
        RoutesCommand::Create {
            name,
            provider,
            model,
            target,
            fallback,
            disabled,
            format,
        } => {
            let body = serde_json::json!({
                "name": name, "provider": provider, "model": model, "enabled": !disabled,
                "targets": bodies(&target, Target::body), "fallbacks": bodies(&fallback, Fallback::body),
            });
            let answer = api.post(PATH, &body).await?;
            show(format.output, answer)
        }
        RoutesCommand::List { list } => {
            let explained = async |mut routes: Vec<Value>| {
                routes.iter_mut().for_each(add_texts);
                Ok(routes)
            };
            LISTING.print_with(&api, Vec::new(), list, explained).await
        }
        RoutesCommand::Show { name, format } => {
            let answer = api.get(&path(&name)?).await?;
            show(format.output, answer)
        }
        RoutesCommand::Update { name, change, format } => {
            let path = path(&name)?;
            let answer = api.patch(&path, &change.patch()?).await?;
            show(format.output, answer)
        }
        RoutesCommand::Enable { name } => {
            api.patch(&path(&name)?, &serde_json::json!({ "enabled": true }))
                .await?;
            note(&format!("route {name} is enabled"));
            Ok(())
        }
        RoutesCommand::Disable { name } => {
            api.patch(&path(&name)?, &serde_json::json!({ "enabled": false }))
                .await?;
            note(&format!("route {name} is disabled"));
            Ok(())
        }
        RoutesCommand::Delete { name, yes } => {
            let path = path(&name)?;
            confirm(&yes, &format!("Delete route {name}?"))?;
            api.delete(&path).await?;
            note(&format!("deleted route {name}"));
            Ok(())
        }
    }
}

fn bodies<T>(items: &[T], body: impl Fn(&T) -> Value) -> Vec<Value> {
    items.iter().map(body).collect()
}

impl Change {
    /// The whole change; an empty one is an error.
    fn patch(self) -> Outcome<Value> {
        let mut patch = Map::new();
        let mut put = |name: &str, value: Value| patch.insert(name.to_owned(), value);
        if let Some(provider) = self.provider {
            put("provider", provider.into());
        }
        if let Some(model) = self.model {
            put("model", model.into());
        }
        if !self.target.is_empty() {
            put("targets", bodies(&self.target, Target::body).into());
        }
        if self.no_fallbacks || !self.fallback.is_empty() {
            put("fallbacks", bodies(&self.fallback, Fallback::body).into());
        }
        if patch.is_empty() {
            let error =
                "nothing to change: give at least one of --provider, --model, --target, --fallback and --no-fallbacks";
            return Err(Failure::Usage(error.to_owned()));
        }
        Ok(patch.into())
    }
}

fn show(format: Format, mut answer: Value) -> Outcome {
    if format != Format::Table {
        return json(format, &answer);
    }
    add_texts(&mut answer);
    record(format, &answer, FIELDS)
}

/// Adds targets and fallbacks in the notation of the command line, for tables.
fn add_texts(route: &mut Value) {
    route["target_texts"] = texts(&route["targets"]).into();
    route["fallback_texts"] = texts(&route["fallbacks"]).into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_says_only_what_changes() {
        let change = |change: Change| change.patch().unwrap();
        let model = Change {
            model: Some("a*".to_owned()),
            ..Change::default()
        };
        assert_eq!(change(model), json!({ "model": "a*" }));
        let lists = Change {
            provider: Some("p".to_owned()),
            target: vec!["a=m:2".parse().unwrap(), "b".parse().unwrap()],
            fallback: vec!["c=m:2".parse().unwrap()],
            ..Change::default()
        };
        assert_eq!(
            change(lists),
            json!({ "provider": "p", "targets": [{ "provider": "a", "model": "m", "weight": 2 }, { "provider": "b" }],
                "fallbacks": [{ "provider": "c", "model": "m:2" }] })
        );
        let none = Change {
            no_fallbacks: true,
            ..Change::default()
        };
        assert_eq!(change(none), json!({ "fallbacks": [] }));
        assert_eq!(Change::default().patch().unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_route_is_shown_in_the_notation_of_the_command_line() {
        let mut route = json!({ "name": "r", "provider": { "name": "p" }, "fallbacks": [],
            "targets": [{ "provider": { "name": "p" }, "model": null, "weight": 9 }, { "provider": { "name": "q" }, "model": "m", "weight": 1 }] });
        add_texts(&mut route);
        assert_eq!(
            (&route["target_texts"], &route["fallback_texts"]),
            (&json!(["p:9", "q=m"]), &json!([]))
        );
    }
}
