//! `lychgate login`: saves a server URL and a token, once the server has accepted the token.

use crate::client::credentials::{self, ServerArgs, parse_token};
use crate::client::{ApiClient, server_url};
use crate::config::Environment;
use crate::failure::{Failure, Outcome};
use crate::terminal::output::note;
use crate::terminal::plain::plain;
use crate::terminal::prompt;

/// `lychgate login`.
#[derive(Debug, clap::Args)]
pub(crate) struct LoginArgs {
    /// URL of the control plane, for example https://lychgate.example.com [default: LYCHGATE_URL]
    #[arg(value_name = "URL")]
    url: Option<String>,
}

/// Runs the command. The token is read from a prompt or from standard input, never from the command line, which other users of
/// the machine can see.
pub(crate) async fn run(args: LoginArgs, environment: &Environment) -> Outcome {
    let given = match args.url {
        Some(text) => Some(server_url(&text).map_err(|why| Failure::Usage(format!("URL: {why}")))?),
        None => credentials::given_urls(&ServerArgs::default(), environment)?
            .into_iter()
            .next(),
    };
    let url = given.ok_or_else(|| {
        Failure::Usage(
            "no server URL: run `lychgate login URL`, for example `lychgate login http://127.0.0.1:8080`".to_owned(),
        )
    })?;
    let path = credentials::path(environment)?;
    let text = prompt::secret(&format!("User token for {url} (lgu_…): "))?;
    if text.is_empty() {
        return Err(Failure::Usage(
            "no token was given: enter it when asked, or pipe it to standard input (lychgate login URL < FILE)"
                .to_owned(),
        ));
    }
    let token = parse_token(&text, "standard input")?;
    let who = match ApiClient::new(vec![url.clone()], &token)?.get("whoami").await {
        Ok(answer) => format!(" as {} ({})", shown(&answer["username"]), shown(&answer["role"])),
        // A valid token whose scopes do not allow it to see its own user.
        Err(error) if error.status() == Some(403) => String::new(),
        Err(error) => return Err(error.into()),
    };
    credentials::store(&path, &url, &token)?;
    note(&format!("logged in to {url}{who}; saved to {}", path.display()));
    Ok(())
}

fn shown(value: &serde_json::Value) -> String {
    plain(value.as_str().unwrap_or("?"))
}
