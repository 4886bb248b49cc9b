//! `lychgate login`: stores a server's address and a token, once the server has accepted it.

use crate::client::{ApiClient, server_url};
use crate::config::Environment;
use crate::credentials::{self, ServerArgs, parse_token};
use crate::failure::{Failure, Outcome};
use crate::output::{note, plain};
use crate::prompt;

/// `lychgate login`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server's address, for example https://lychgate.example.com [default: LYCHGATE_URL]
    #[arg(value_name = "URL")]
    url: Option<String>,
}

/// Runs the command. The token comes from the prompt or from standard input, never from the command line, where others on
/// the machine could see it.
pub(crate) async fn run(args: Args, environment: &Environment) -> Outcome {
    let given = match args.url {
        Some(text) => Some(server_url(&text).map_err(|why| Failure::Usage(format!("URL: {why}")))?),
        None => credentials::given_url(
            &ServerArgs {
                url: None,
                token_file: None,
            },
            environment,
        )?,
    };
    let url = given.ok_or_else(|| {
        Failure::Usage("which server? Write: lychgate login URL, for example http://127.0.0.1:8080".to_owned())
    })?;
    let path = credentials::path(environment)?;
    let token = parse_token(
        &prompt::secret(&format!("User token for {url} (lgu_…): "))?,
        "the token given",
    )?;
    let answer = ApiClient::new(url.clone(), &token)?.get("whoami").await?;
    credentials::store(&path, &url, &token)?;
    let who = answer["username"].as_str().unwrap_or("?");
    let role = answer["role"].as_str().unwrap_or("?");
    note(&format!(
        "logged in to {url} as {} ({}); stored in {}",
        plain(who),
        plain(role),
        path.display()
    ));
    Ok(())
}
