//! `lychgate login`: stores a server's address and a token, once the server has accepted it.

use crate::client::credentials::{self, ServerArgs, parse_token};
use crate::client::{ApiClient, server_url};
use crate::config::Environment;
use crate::failure::{Failure, Outcome};
use crate::terminal::output::{note, plain};
use crate::terminal::prompt;

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
    let text = prompt::secret(&format!("User token for {url} (lgu_…): "))?;
    if text.is_empty() {
        return Err(Failure::Usage(
            "no token was given: type it when asked, or pipe it in (lychgate login URL < FILE)".to_owned(),
        ));
    }
    let token = parse_token(&text, "the token given")?;
    let who = match ApiClient::new(url.clone(), &token)?.get("whoami").await {
        Ok(answer) => format!(" as {} ({})", shown(&answer["username"]), shown(&answer["role"])),
        // A good token, whose scopes do not let it see its own user.
        Err(error) if error.status() == Some(403) => String::new(),
        Err(error) => return Err(error.into()),
    };
    credentials::store(&path, &url, &token)?;
    note(&format!("logged in to {url}{who}; stored in {}", path.display()));
    Ok(())
}

fn shown(value: &serde_json::Value) -> String {
    plain(value.as_str().unwrap_or("?"))
}
