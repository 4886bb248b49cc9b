//! `lychgate whoami`: whose token is in use.

use crate::client::credentials::{ServerArgs, connect};
use crate::config::Environment;
use crate::failure::Outcome;
use crate::terminal::output::{Field, FormatArgs, record};

/// `lychgate whoami`.
#[derive(Debug, clap::Args)]
pub(crate) struct WhoamiArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    format: FormatArgs,
}

const FIELDS: &[Field] = &[
    Field("user", "username"),
    Field("user id", "user_id"),
    Field("role", "role"),
    Field("token id", "token_id"),
    Field("scopes", "scopes"),
    Field("expires", "expires_at"),
];

/// Runs the command.
pub(crate) async fn run(args: WhoamiArgs, environment: &Environment) -> Outcome {
    let answer = connect(&args.server, environment)?.get("whoami").await?;
    record(args.format.output, &answer, FIELDS)
}
