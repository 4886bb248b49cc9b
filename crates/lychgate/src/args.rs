//! The command line: every command with its one-line help. The options of a role are in `roles::args`, those of a client
//! command in that command's file.

use crate::commands::{
    audit, clients, completions, healthcheck, interceptions, keys, login, providers, replicas, routes, tokens, users,
    whoami,
};
use crate::roles::args::{DevArgs, GatewayArgs, MigrateArgs, ServerArgs};
use clap::{Parser, Subcommand};

const SETTINGS_HELP: &str = "Every option can also be set by an environment variable (LYCHGATE_ and the option in upper case: \
    --data-dir is LYCHGATE_DATA_DIR) or in the file given by --config, in the section named after the command. \
    Options on the command line override the environment, which overrides the file.";

const MIGRATE_HELP: &str = "The settings are those of `lychgate server`, in the environment and in the section [server] of the \
    file given by --config. Options on the command line override the environment, which overrides the file.";

const PROXY_HELP: &str = "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY set the proxy for connections to providers \
    (http://USER:PASSWORD@HOST:PORT). The proxy resolves host names, so Lychgate can't check what they resolve to: \
    it refuses private IP addresses and names that are local by their form, such as localhost, and no others.";

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
    /// Try Lychgate on this machine: a control plane, a replica and scripted providers in one process.
    #[command(after_help = SETTINGS_HELP)]
    Dev(DevArgs),
    /// Run a control plane with an embedded gateway.
    #[command(after_help = format!("{SETTINGS_HELP}\n\n{PROXY_HELP}"))]
    Server(ServerArgs),
    /// Run a gateway replica.
    #[command(after_help = format!("{SETTINGS_HELP}\n\n{PROXY_HELP}"))]
    Gateway(GatewayArgs),
    /// Apply pending database migrations and exit.
    #[command(after_help = MIGRATE_HELP)]
    Migrate(MigrateArgs),
    /// Manage gateway keys, which replicas authenticate with.
    #[command(alias = "gateway-keys")]
    Keys(keys::KeysArgs),
    /// List and drain gateway replicas.
    Replicas(replicas::ReplicasArgs),
    /// Manage users.
    Users(users::UsersArgs),
    /// Manage user tokens, which AI clients and API callers authenticate with.
    Tokens(tokens::TokensArgs),
    /// Manage providers, the upstreams that AI requests go to.
    Providers(providers::ProvidersArgs),
    /// Manage routes, which send requests for certain models to other targets.
    Routes(routes::RoutesArgs),
    /// Print the settings with which an AI client uses a gateway.
    Clients(clients::ClientsArgs),
    /// Show recorded AI requests.
    Interceptions(interceptions::InterceptionsArgs),
    /// Show the audit log.
    Audit(audit::AuditArgs),
    /// Show the user, role and scopes of the token in use.
    Whoami(whoami::WhoamiArgs),
    /// Ask a server or replica whether it is ready; for container health checks.
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Save a server URL and a user token for the commands above.
    Login(login::LoginArgs),
    /// Forget the server URL and the token that `login` saved.
    Logout,
    /// Print the OpenAPI document of the API.
    Openapi,
    /// Print a shell completion script.
    Completions(completions::CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn gateway_keys_is_an_alias_of_keys() {
        let cli = Cli::try_parse_from(["lychgate", "gateway-keys", "list"]).unwrap();
        assert!(matches!(cli.command, Command::Keys(_)));
    }
}
