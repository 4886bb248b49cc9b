//! What may be typed: the commands, and the flags of the roles. The flags of a client command stand with the command.
//!
//! The roles' flags are read as plain text here; `config` puts environment and file beneath them and reports every bad value
//! at once.

use crate::commands::{
    audit, completions, interceptions, keys, login, providers, replicas, routes, tokens, users, whoami,
};
use clap::{CommandFactory, Parser, Subcommand};
use std::collections::BTreeMap;
use std::path::PathBuf;

const ROLE_HELP: &str = "Every option can also be set in the environment, as LYCHGATE_ and its name in capitals \
    (--data-dir: LYCHGATE_DATA_DIR), or in the file given by --config, under the command's name in brackets. \
    A flag wins over the environment, the environment over the file.";

const DATA_PLANE_HELP: &str = "Every option can also be set in the environment, as LYCHGATE_ and its name in capitals \
    (--data-dir: LYCHGATE_DATA_DIR), or in the file given by --config, under the command's name in brackets. \
    A flag wins over the environment, the environment over the file.\n\n\
    Providers are reached through the proxies that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name \
    (http://USER:PASSWORD@HOST:PORT). A proxy looks names up itself, so a provider's name can't be checked for private \
    addresses then: only addresses and names that tell are refused.";

/// A self-hosted AI gateway.
#[derive(Debug, Parser)]
#[command(name = "lychgate", version, arg_required_else_help = true, infer_long_args = false)]
pub(crate) struct Cli {
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// All commands: the roles, then the clients of the API.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run all of it on this machine, to try it out: control plane, one replica, scripted providers.
    #[command(after_help = ROLE_HELP)]
    Dev(DevArgs),
    /// Run a control plane with its embedded gateway.
    #[command(after_help = DATA_PLANE_HELP)]
    Server(ServerArgs),
    /// Run one gateway replica.
    #[command(after_help = DATA_PLANE_HELP)]
    Gateway(GatewayArgs),
    /// Bring the database's tables up to date; the settings are those of `server`.
    #[command(after_help = ROLE_HELP)]
    Migrate(MigrateArgs),
    /// Gateway keys: by which replicas are let in.
    #[command(alias = "gateway-keys")]
    Keys(keys::Args),
    /// Replicas: who is attached, who is gone, and draining.
    Replicas(replicas::Args),
    /// Users.
    Users(users::Args),
    /// User tokens: by which AI clients and API callers are let in.
    Tokens(tokens::Args),
    /// Providers: where AI requests go.
    Providers(providers::Args),
    /// Routes: where requests for certain models go instead.
    Routes(routes::Args),
    /// Recorded AI requests.
    Interceptions(interceptions::Args),
    /// The audit log.
    Audit(audit::Args),
    /// Show whose token is in use.
    Whoami(whoami::Args),
    /// Store a server's address and a token for the commands above.
    Login(login::Args),
    /// Print the API's OpenAPI document.
    Openapi,
    /// Print a completion script for a shell.
    Completions(completions::Args),
}

/// What every role takes.
#[derive(Debug, clap::Args)]
pub(crate) struct CommonArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", display_order = 900)]
    pub(crate) config: Option<PathBuf>,
    /// What to log to standard error: error, warn, info, debug, trace, also by part: info,lychgate_gateway=debug
    #[arg(long, value_name = "LEVEL", display_order = 901)]
    pub(crate) log: Option<String>,
    /// text or json
    #[arg(long, value_name = "FORM", display_order = 902)]
    pub(crate) log_format: Option<String>,
}

/// `lychgate server`.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<String>,
    /// What is needed to reach the database.
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// File with the key that seals provider keys in the database, 64 hexadecimal digits; LYCHGATE_MASTER_KEY can hold the
    /// key itself [default: master-key in the data directory, made at the first start]
    #[arg(long, value_name = "FILE")]
    pub(crate) master_key_file: Option<String>,
    /// File with the token that the first owner shall get on an empty database; LYCHGATE_BOOTSTRAP_TOKEN can hold the token
    /// itself [default: one is made and left in owner-token in the data directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) bootstrap_token_file: Option<String>,
    /// Record only counts: no prompts, no tool arguments, no thoughts
    #[arg(long)]
    pub(crate) no_content_capture: bool,
    /// File with CA certificates (PEM) that providers are believed by beside the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) provider_ca_file: Option<String>,
    /// Where records wait for the control plane.
    #[command(flatten)]
    pub(crate) spool: SpoolArgs,
    /// Where the metrics are.
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
    /// What every role takes.
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// `lychgate migrate`, and a part of `lychgate server`.
#[derive(Debug, clap::Args)]
pub(crate) struct DatabaseArgs {
    /// postgres://… or sqlite:///path; it may hold a password, so rather use the environment or --database-url-file
    /// [default: SQLite in the data directory]
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// File with the database URL
    #[arg(long, value_name = "FILE")]
    pub(crate) database_url_file: Option<String>,
    /// Directory for the SQLite database, the master key and the first owner's token [default: ./lychgate-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
}

/// `lychgate migrate`.
#[derive(Debug, clap::Args)]
pub(crate) struct MigrateArgs {
    /// What is needed to reach the database.
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// What every role takes.
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// `lychgate gateway`.
#[derive(Debug, clap::Args)]
pub(crate) struct GatewayArgs {
    /// The control plane's address, http://… or https://…; repeatable where several share one database
    #[arg(long, value_name = "URL")]
    pub(crate) control_url: Vec<String>,
    /// The gateway key; others on this machine can see it in the process list, so rather use --key-file or LYCHGATE_KEY
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// File with the gateway key; a new key in it is taken without a restart
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<String>,
    /// Address and port to listen on [default: 127.0.0.1:4001]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<String>,
    /// How this replica is called in listings and logs [default: the host's name]
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// Where clients reach this replica, for listings [default: the address listened on]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,
    /// How long requests of tokens already known are taken while no control plane can be reached [default: 15m]
    #[arg(long, value_name = "TIME")]
    pub(crate) max_offline: Option<String>,
    /// Whether that also goes for a replica that starts meanwhile: true or false [default: true]
    #[arg(long, value_name = "BOOL")]
    pub(crate) offline_start: Option<String>,
    /// A label of your own for listings; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,
    /// File with CA certificates (PEM) that providers are believed by beside the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) provider_ca_file: Option<String>,
    /// Where records wait for the control plane.
    #[command(flatten)]
    pub(crate) spool: SpoolArgs,
    /// Where the metrics are.
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
    /// What every role takes.
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Where a data plane keeps records until the control plane has acknowledged them.
#[derive(Debug, clap::Args)]
pub(crate) struct SpoolArgs {
    /// Directory for records that the control plane has not acknowledged yet; one for each process
    /// [default: ./lychgate-spool; of a server: spool in the data directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) spool_dir: Option<String>,
    /// Most bytes that they may take, for example 512MiB [default: 1GiB]
    #[arg(long, value_name = "BYTES")]
    pub(crate) spool_max_bytes: Option<String>,
    /// What they survive: interval, the end of this process, however it comes; always, a loss of power too, for which the end
    /// of each answer waits for the disk [default: interval]
    #[arg(long, value_name = "WHEN")]
    pub(crate) spool_sync: Option<String>,
    /// What becomes of requests when there is no room for their records: refuse, or unrecorded, which lets them go on
    /// [default: refuse]
    #[arg(long, value_name = "WHAT")]
    pub(crate) spool_full: Option<String>,
}

/// Where the metrics are.
#[derive(Debug, clap::Args)]
pub(crate) struct MetricsArgs {
    /// Address and port for Prometheus, which asks for /metrics there, for example 127.0.0.1:9464; whoever reaches it can read
    /// them [default: no metrics are served]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) metrics_listen: Option<String>,
}

/// `lychgate dev`.
#[derive(Debug, clap::Args)]
pub(crate) struct DevArgs {
    /// Directory that keeps the data from start to start [default: ./lychgate-dev]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
    /// Address and port of the control plane [default: 127.0.0.1:8080]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<String>,
    /// Address and port of the replica [default: 127.0.0.1:4001]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) gateway_listen: Option<String>,
    /// What every role takes.
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// The sections of the configuration file with their keys: the roles and their flags.
pub(crate) fn configuration_keys() -> BTreeMap<String, Vec<String>> {
    let cli = Cli::command();
    let section = |name: &str| {
        let role = cli.find_subcommand(name)?;
        let flags = role.get_arguments().filter_map(|arg| arg.get_long());
        let keys = flags
            .filter(|flag| *flag != "config" && *flag != "help")
            .map(str::to_owned)
            .collect();
        Some((name.to_owned(), keys))
    };
    ["server", "gateway", "dev"].into_iter().filter_map(section).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_files_keys_are_the_roles_flags() {
        let keys = configuration_keys();
        assert_eq!(
            keys["dev"],
            ["data-dir", "listen", "gateway-listen", "log", "log-format"]
        );
        assert_eq!(
            keys["gateway"],
            [
                "control-url",
                "key",
                "key-file",
                "listen",
                "name",
                "advertise",
                "max-offline",
                "offline-start",
                "label",
                "provider-ca-file",
                "spool-dir",
                "spool-max-bytes",
                "spool-sync",
                "spool-full",
                "metrics-listen",
                "log",
                "log-format"
            ]
        );
        assert_eq!(
            keys["server"],
            [
                "listen",
                "database-url",
                "database-url-file",
                "data-dir",
                "master-key-file",
                "bootstrap-token-file",
                "no-content-capture",
                "provider-ca-file",
                "spool-dir",
                "spool-max-bytes",
                "spool-sync",
                "spool-full",
                "metrics-listen",
                "log",
                "log-format"
            ]
        );
    }

    #[test]
    fn gateway_keys_is_another_word_for_keys() {
        let cli = Cli::try_parse_from(["lychgate", "gateway-keys", "list"]).unwrap();
        assert!(matches!(cli.command, Command::Keys(_)));
    }
}
