//! The client commands, one file per noun. They use the API of a server and know nothing that the API does not say.

pub(crate) mod audit;
pub(crate) mod clients;
pub(crate) mod completions;
pub(crate) mod healthcheck;
pub(crate) mod interceptions;
pub(crate) mod keys;
mod listing;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod providers;
mod range;
pub(crate) mod replicas;
pub(crate) mod routes;
pub(crate) mod tokens;
pub(crate) mod users;
pub(crate) mod whoami;

use crate::config::secret_file::Reserved;
use crate::config::{others_have_access, read_secret, shown_path};
use crate::failure::{Failure, Outcome};
use crate::terminal::output::{Format, json, line, note};
use lychgate_types::{Name, Username};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The query of a request; parts without a value are left out.
type Query = Vec<(&'static str, Option<String>)>;

/// A name or an id as a path segment. Both are valid names, so nothing needs escaping.
fn name_or_id(text: &str) -> Outcome<String> {
    Name::parse(text).map(|name| name.as_str().to_owned()).map_err(|why| {
        Failure::Usage(format!(
            "`{}` is not a valid name or id: {why}",
            crate::terminal::plain::plain(text)
        ))
    })
}

/// A username or an id as a path segment. No character of either needs escaping.
fn username_or_id(text: &str) -> Outcome<String> {
    Username::parse(text)
        .map(|name| name.as_str().to_owned())
        .map_err(|why| {
            Failure::Usage(format!(
                "`{}` is not a valid username or id: {why}",
                crate::terminal::plain::plain(text)
            ))
        })
}

/// Where to put a secret that is shown only once.
#[derive(Debug, clap::Args)]
pub(crate) struct OutArgs {
    /// Write the secret to this new file (mode 0600) instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Let --out replace an existing file, atomically; what reads it finds the old secret or the new one
    #[arg(long, requires = "out")]
    replace: bool,
}

/// The place for a secret that is about to be created.
#[derive(Debug)]
struct SecretPlace(Option<(PathBuf, Reserved)>);

/// What was done, for messages about the secret that came of it.
struct Done<'a> {
    /// What it is, with its name: `gateway key edge-1`.
    what: &'a str,
    /// What happened to it: `was created`.
    became: &'a str,
    /// What to do if the secret could not be delivered.
    if_lost: &'a str,
}

impl<'a> Done<'a> {
    const fn created(what: &'a str) -> Self {
        Self {
            what,
            became: "was created",
            if_lost: "delete it and create another",
        }
    }
}

impl OutArgs {
    /// Creates a file before the secret exists; one that is there already stays until the secret replaces it, or is refused.
    fn reserve(self) -> Outcome<SecretPlace> {
        let Some(path) = self.out else {
            return Ok(SecretPlace(None));
        };
        let reserved = if self.replace {
            Reserved::create_over(&path)
        } else {
            Reserved::create(&path)
        };
        match reserved {
            Ok(reserved) => Ok(SecretPlace(Some((path, reserved)))),
            Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => Err(Failure::Failed(format!(
                "{} already exists and is not overwritten: choose another file, or add --replace",
                path.display()
            ))),
            Err(why) if self.replace => Err(Failure::Failed(format!("can't replace {}: {why}", path.display()))),
            Err(why) => Err(Failure::Failed(format!("can't create {}: {why}", path.display()))),
        }
    }
}

impl SecretPlace {
    /// Delivers the secret in the answer's `field`. Only the secret goes to standard output, so that it can be assigned or piped;
    /// messages go to standard error.
    fn put(self, format: Format, mut answer: Value, field: &str, done: &Done<'_>) -> Outcome {
        let Done { what, became, if_lost } = done;
        let Some(secret) = answer[field].as_str().map(str::to_owned) else {
            return Err(Failure::Failed(format!(
                "{what} {became}, but the server's response has no `{field}`: this program and the server may be different versions"
            )));
        };
        match self.0 {
            Some((path, reserved)) => {
                let path_name = path.display();
                reserved.fill(&secret).map_err(|why| {
                    Failure::Failed(format!(
                        "{what} {became}, but its secret can't be written to {path_name} ({why}): {if_lost}"
                    ))
                })?;
                note(&format!("{what} {became}; the new secret is in {path_name}"));
                match (format, &mut answer) {
                    (Format::Table, _) => Ok(()),
                    (_, Value::Object(fields)) => {
                        fields.remove(field);
                        json(format, &answer)
                    }
                    _ => Ok(()),
                }
            }
            None if format != Format::Table => json(format, &answer),
            None => {
                note(&format!("{what} {became}; its secret, which is not shown again:"));
                line(&secret)
            }
        }
    }
}

/// Reads a secret from a file, without surrounding white space.
fn secret_from(path: &Path) -> Outcome<String> {
    let shown = path.to_string_lossy();
    let secret = read_secret(path).map_err(|why| Failure::Usage(format!("{}: {why}", shown_path(&shown))))?;
    if others_have_access(path) {
        note(&format!(
            "warning: other users can read or change {shown}: run `chmod 600 {shown}`"
        ));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::name_or_id;

    #[test]
    fn only_names_and_ids_are_path_segments() {
        assert_eq!(name_or_id("Edge-1").unwrap(), "edge-1");
        assert_eq!(
            name_or_id("0192D3C4-5b6a-7c8d-9e0f-112233445566").unwrap(),
            "0192d3c4-5b6a-7c8d-9e0f-112233445566"
        );
        for bad in ["", "..", "a/b", "a?b", "é", "a%20"] {
            assert_eq!(name_or_id(bad).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }
}
