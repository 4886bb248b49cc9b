//! Which server the client commands talk to, and with which token: flags, then LYCHGATE_URL and LYCHGATE_TOKEN(_FILE), then
//! what `lychgate login` stored.

use crate::client::{ApiClient, ServerUrl, server_url};
use crate::config::secret_file;
use crate::config::{Environment, others_have_access, owner_only, read_secret, shown_path, variable_name};
use crate::failure::{Failure, Outcome};
use crate::terminal::output::note;
use lychgate_types::secret::UserTokenSecret;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The options of every client command.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ServerArgs {
    /// URL of the control plane; repeat it for several, which are tried in turn [default: LYCHGATE_URL, separated by commas, or the one
    /// saved by `lychgate login`]
    #[arg(long, value_name = "URL", global = true, display_order = 900)]
    pub(crate) url: Vec<String>,
    /// File with a user token [default: LYCHGATE_TOKEN_FILE, LYCHGATE_TOKEN, or the token saved by `lychgate login`]
    #[arg(long, value_name = "FILE", global = true, display_order = 901)]
    pub(crate) token_file: Option<PathBuf>,
}

/// What `lychgate login` stores.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    url: String,
    token: String,
}

const WHAT_TO_DO: &str = "run `lychgate login URL`, or set LYCHGATE_URL and LYCHGATE_TOKEN_FILE (or LYCHGATE_TOKEN)";

/// A client for the server that the user means.
pub(crate) fn connect(args: &ServerArgs, environment: &Environment) -> Outcome<ApiClient> {
    let (urls, token) = find(args, environment)?;
    ApiClient::new(urls, &token)
}

fn find(args: &ServerArgs, environment: &Environment) -> Outcome<(Vec<ServerUrl>, UserTokenSecret)> {
    let urls = given_urls(args, environment)?;
    let token = match given_token(args, environment)? {
        Some(token) if !urls.is_empty() => return Ok((urls, token)),
        token => token,
    };
    let stored = read(&path(environment)?)?;
    // A stored token goes only to the server that it was stored for.
    let other = |stored: &ServerUrl| urls.iter().find(|url| *url != stored).cloned();
    match (urls.first(), token, stored) {
        (None, token, Some((stored_url, stored_token))) => Ok((vec![stored_url], token.unwrap_or(stored_token))),
        (Some(_), _, Some((stored_url, stored_token))) if other(&stored_url).is_none() => {
            Ok((vec![stored_url], stored_token))
        }
        (Some(url), _, stored) => {
            let url = stored
                .and_then(|(stored, _)| other(&stored))
                .unwrap_or_else(|| url.clone());
            Err(Failure::Usage(format!(
                "no token for {url}: set LYCHGATE_TOKEN_FILE (or LYCHGATE_TOKEN), or run `lychgate login {url}`"
            )))
        }
        (None, Some(_), None) => Err(Failure::Usage(
            "there is a token but no server URL: set LYCHGATE_URL, for example http://127.0.0.1:8080".to_owned(),
        )),
        (None, None, None) => Err(Failure::Usage(format!("no server URL: {WHAT_TO_DO}"))),
    }
}

/// The addresses given by flags or environment, each once.
pub(crate) fn given_urls(args: &ServerArgs, environment: &Environment) -> Outcome<Vec<ServerUrl>> {
    let variable = environment.get(&variable_name("url")).map_err(Failure::Usage)?;
    let (texts, origin): (Vec<&str>, _) = match variable {
        Some(variable) if args.url.is_empty() => (variable.split(',').map(str::trim).collect(), "LYCHGATE_URL"),
        _ => (args.url.iter().map(String::as_str).collect(), "--url"),
    };
    let mut urls = Vec::with_capacity(texts.len());
    for text in texts {
        let url = server_url(text).map_err(|why| Failure::Usage(format!("{origin}: {why}")))?;
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    Ok(urls)
}

/// The address in the environment, else the one that `lychgate login` stored.
pub(crate) fn given_or_saved_url(environment: &Environment) -> Outcome<Option<ServerUrl>> {
    let given = given_urls(&ServerArgs::default(), environment)?.into_iter().next();
    match given {
        Some(url) => Ok(Some(url)),
        None => Ok(read(&path(environment)?)?.map(|(url, _)| url)),
    }
}

fn given_token(args: &ServerArgs, environment: &Environment) -> Outcome<Option<UserTokenSecret>> {
    let token = environment.get("LYCHGATE_TOKEN").map_err(Failure::Usage)?;
    let file = environment.get("LYCHGATE_TOKEN_FILE").map_err(Failure::Usage)?;
    let (text, origin) = match (&args.token_file, token, file) {
        (Some(path), ..) => from_file("--token-file", path)?,
        (None, Some(_), Some(_)) => {
            return Err(Failure::Usage(
                "LYCHGATE_TOKEN and LYCHGATE_TOKEN_FILE are both set; set only one".to_owned(),
            ));
        }
        (None, Some(token), None) => (token.trim().to_owned(), "LYCHGATE_TOKEN".to_owned()),
        (None, None, Some(path)) => from_file("LYCHGATE_TOKEN_FILE", Path::new(path))?,
        (None, None, None) => return Ok(None),
    };
    parse_token(&text, &origin).map(Some)
}

fn from_file(origin: &str, path: &Path) -> Outcome<(String, String)> {
    let origin = format!("{origin} {}", shown_path(&path.to_string_lossy()));
    let text = read_secret(path).map_err(|why| Failure::Usage(format!("{origin}: {why}")))?;
    if others_have_access(path) {
        note(&format!(
            "warning: {origin}: other users can read or change this file: run `chmod 600` on it"
        ));
    }
    Ok((text, origin))
}

/// Reads a user token; the error names where it came from, never the token.
pub(crate) fn parse_token(text: &str, origin: &str) -> Outcome<UserTokenSecret> {
    UserTokenSecret::parse(text).map_err(|why| {
        let hint = if text.starts_with("lgw_") {
            "; this is a gateway key, which only replicas can use"
        } else {
            ""
        };
        Failure::Usage(format!("{origin}: not a user token: {why}{hint}"))
    })
}

/// Where `lychgate login` keeps what it stores.
pub(crate) fn path(environment: &Environment) -> Outcome<PathBuf> {
    let get = |name| environment.get(name).map_err(Failure::Usage);
    let directory = match (get("XDG_CONFIG_HOME")?, get("HOME")?) {
        (Some(config), _) if Path::new(config).is_absolute() => PathBuf::from(config),
        (_, Some(home)) => Path::new(home).join(".config"),
        (_, None) => {
            return Err(Failure::Usage(format!(
                "neither XDG_CONFIG_HOME nor HOME is set: {WHAT_TO_DO}"
            )));
        }
    };
    Ok(directory.join("lychgate").join("credentials.toml"))
}

/// Stores server and token, in place of what was stored before.
pub(crate) fn store(path: &Path, url: &ServerUrl, token: &UserTokenSecret) -> Outcome {
    let failed = |why: std::io::Error| Failure::Failed(format!("can't write {}: {why}", path.display()));
    if let Some(directory) = path.parent() {
        secret_file::private_directory(directory).map_err(failed)?;
    }
    // Neither text can hold a quote or a backslash: the one is a parsed URL, the other is base62.
    let text = format!("url = \"{url}\"\ntoken = \"{}\"", token.expose());
    secret_file::replace(path, &text).map_err(failed)
}

/// Removes what was stored; says whether there was anything.
pub(crate) fn forget(path: &Path) -> Outcome<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(why) => Err(Failure::Failed(format!("can't remove {}: {why}", path.display()))),
    }
}

fn read(path: &Path) -> Outcome<Option<(ServerUrl, UserTokenSecret)>> {
    let name = path.display();
    match std::fs::exists(path) {
        Ok(false) => return Ok(None),
        Ok(true) => owner_only(path).map_err(|why| Failure::Failed(format!("{name}: {why}")))?,
        Err(why) => return Err(Failure::Failed(format!("can't read {name}: {why}"))),
    }
    let text = std::fs::read_to_string(path).map_err(|why| Failure::Failed(format!("can't read {name}: {why}")))?;
    let broken = || Failure::Failed(format!("{name} is damaged: run `lychgate login` again"));
    let stored: Stored = toml::from_str(&text).map_err(|_| broken())?;
    let url = server_url(&stored.url).map_err(|_| broken())?;
    let token = UserTokenSecret::parse(&stored.token).map_err(|_| broken())?;
    Ok(Some((url, token)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lychgate_types::Ambient;
    use std::os::unix::fs::PermissionsExt;

    struct Home(tempfile::TempDir);

    impl Home {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn environment(&self, more: &[(&str, &str)]) -> Environment {
            let home = ("XDG_CONFIG_HOME", self.0.path().to_str().unwrap());
            more.iter()
                .chain([&home])
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect()
        }

        fn find(&self, more: &[(&str, &str)]) -> Result<(String, String), String> {
            let none = ServerArgs {
                url: Vec::new(),
                token_file: None,
            };
            let found = find(&none, &self.environment(more));
            found
                .map(|(urls, token)| {
                    let urls: Vec<_> = urls.iter().map(ToString::to_string).collect();
                    (urls.join(" "), token.expose().to_owned())
                })
                .map_err(|failure| failure.to_string())
        }

        fn login(&self, url: &str) -> String {
            let token = UserTokenSecret::generate(&Ambient::system());
            store(
                &path(&self.environment(&[])).unwrap(),
                &server_url(url).unwrap(),
                &token,
            )
            .unwrap();
            token.expose().to_owned()
        }
    }

    #[test]
    fn without_anything_it_says_what_to_do() {
        let home = Home::new();
        assert_eq!(home.find(&[]).unwrap_err(), format!("no server URL: {WHAT_TO_DO}"));
        assert!(
            home.find(&[("LYCHGATE_URL", "http://h")])
                .unwrap_err()
                .contains("no token for http://h:")
        );
        let token = UserTokenSecret::generate(&Ambient::system());
        assert!(
            home.find(&[("LYCHGATE_TOKEN", token.expose())])
                .unwrap_err()
                .contains("set LYCHGATE_URL")
        );
    }

    #[test]
    fn the_environment_wins_over_the_login() {
        let home = Home::new();
        let stored = home.login("http://stored:1");
        assert_eq!(home.find(&[]).unwrap(), ("http://stored:1".to_owned(), stored));
        let token = UserTokenSecret::generate(&Ambient::system());
        let other = home
            .find(&[("LYCHGATE_URL", "https://other"), ("LYCHGATE_TOKEN", token.expose())])
            .unwrap();
        assert_eq!(other, ("https://other".to_owned(), token.expose().to_owned()));
        let several = [
            ("LYCHGATE_URL", "http://a, http://b,http://a"),
            ("LYCHGATE_TOKEN", token.expose()),
        ];
        assert_eq!(home.find(&several).unwrap().0, "http://a http://b");
    }

    #[test]
    fn a_stored_token_never_goes_to_another_server() {
        let home = Home::new();
        let stored = home.login("http://stored:1");
        assert_eq!(home.find(&[("LYCHGATE_URL", "http://stored:1")]).unwrap().1, stored);
        assert!(
            home.find(&[("LYCHGATE_URL", "http://evil:1")])
                .unwrap_err()
                .contains("no token for http://evil:1:")
        );
        let beside = home
            .find(&[("LYCHGATE_URL", "http://stored:1,http://evil:1")])
            .unwrap_err();
        assert!(beside.contains("no token for http://evil:1:"), "{beside}");
    }

    #[test]
    fn a_bad_token_is_reported_without_repeating_it() {
        let home = Home::new();
        let message = home
            .find(&[("LYCHGATE_URL", "http://h"), ("LYCHGATE_TOKEN", "lgw_canary")])
            .unwrap_err();
        assert!(
            message.starts_with("LYCHGATE_TOKEN: not a user token: it does not start with lgu_; this is a gateway key"),
            "{message}"
        );
        assert!(!message.contains("canary"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let home = Home::new();
        home.login("http://stored:1");
        let path = path(&home.environment(&[])).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(home.find(&[]).unwrap_err().contains("chmod 600"));
    }
}
