//! The client commands: one file per noun. They speak to a server over its API and know nothing that the API does not tell.

pub(crate) mod audit;
pub(crate) mod completions;
pub(crate) mod interceptions;
pub(crate) mod keys;
pub(crate) mod login;
pub(crate) mod providers;
pub(crate) mod replicas;
pub(crate) mod routes;
pub(crate) mod tokens;
pub(crate) mod users;
pub(crate) mod whoami;

use crate::config::secret_file::Reserved;
use crate::config::{read_secret, shown_path};
use crate::failure::{Failure, Outcome};
use crate::terminal::output::{Format, json, line, note};
use lychgate_types::Name;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The flags of a listing that comes in pages.
#[derive(Debug, clap::Args)]
pub(crate) struct PageArgs {
    /// How many at most
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Where to go on: what the page before named
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

type Query = Vec<(&'static str, Option<String>)>;

impl PageArgs {
    /// The query of the listing's request, with the filters before.
    fn query(self, mut filters: Query) -> Query {
        filters.push(("limit", self.limit.map(|n| n.to_string())));
        filters.push(("after", self.after));
        filters
    }
}

/// A name or an id as a part of the request's path. Both fit the rule for names, so nothing in it needs escaping.
fn name_or_id(text: &str) -> Outcome<String> {
    Name::parse(text).map(|name| name.as_str().to_owned()).map_err(|why| {
        Failure::Usage(format!(
            "`{}` is neither a name nor an id: {why}",
            crate::terminal::output::plain(text)
        ))
    })
}

/// Where a secret goes that is shown only once.
#[derive(Debug, clap::Args)]
pub(crate) struct OutArgs {
    /// Write the secret to this new file (mode 0600) instead of showing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A place for a secret that is yet to be made.
#[derive(Debug)]
struct SecretPlace(Option<(PathBuf, Reserved)>);

/// What was done, when a secret came of it.
struct Done<'a> {
    /// The thing with its name: `gateway key edge-1`.
    what: &'a str,
    /// What became of it: `was made`.
    became: &'a str,
    /// What to do where the secret was lost on its way.
    if_lost: &'a str,
}

impl<'a> Done<'a> {
    const fn made(what: &'a str) -> Self {
        Self {
            what,
            became: "was made",
            if_lost: "delete it and make another",
        }
    }
}

impl OutArgs {
    /// Makes sure of the place before the secret is made; a file that exists is refused.
    fn reserve(self) -> Outcome<SecretPlace> {
        let Some(path) = self.out else {
            return Ok(SecretPlace(None));
        };
        match Reserved::create(&path) {
            Ok(reserved) => Ok(SecretPlace(Some((path, reserved)))),
            Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => Err(Failure::Failed(format!(
                "{} exists already; it is not overwritten: choose another file",
                path.display()
            ))),
            Err(why) => Err(Failure::Failed(format!("can't make {}: {why}", path.display()))),
        }
    }

    /// The same, but a file that exists stays until the secret takes its place.
    fn reserve_over(self) -> Outcome<SecretPlace> {
        let Some(path) = self.out else {
            return Ok(SecretPlace(None));
        };
        match Reserved::create_over(&path) {
            Ok(reserved) => Ok(SecretPlace(Some((path, reserved)))),
            Err(why) => Err(Failure::Failed(format!(
                "can't make a file beside {}: {why}",
                path.display()
            ))),
        }
    }
}

impl SecretPlace {
    /// Puts the answer's `field` where it belongs and shows the rest: the secret alone goes to standard output, so that
    /// it can be assigned or piped, and everything said about it to standard error.
    fn put(self, format: Format, mut answer: Value, field: &str, done: &Done<'_>) -> Outcome {
        let Done { what, became, if_lost } = done;
        let Some(secret) = answer[field].as_str().map(str::to_owned) else {
            return Err(Failure::Failed(format!(
                "{what} {became}, but the server's answer has no `{field}`; are both of one version?"
            )));
        };
        match self.0 {
            Some((path, reserved)) => {
                let path_name = path.display();
                reserved.fill(&secret).map_err(|why| {
                    Failure::Failed(format!(
                        "{what} {became}, but {path_name} can't be written ({why}): {if_lost}"
                    ))
                })?;
                note(&format!("{what} {became}; its secret is in {path_name}"));
                if let (Format::Json, Value::Object(fields)) = (format, &mut answer) {
                    fields.remove(field);
                    json(&answer)?;
                }
                Ok(())
            }
            None if format == Format::Json => json(&answer),
            None => {
                note(&format!(
                    "{what} {became}; this is its secret, which is shown only now:"
                ));
                line(&secret)
            }
        }
    }
}

/// Reads a secret from a file, its white space cut off.
fn secret_from(path: &Path) -> Outcome<String> {
    read_secret(path).map_err(|why| Failure::Usage(format!("{}: {why}", shown_path(&path.to_string_lossy()))))
}

#[cfg(test)]
mod tests {
    use super::name_or_id;

    #[test]
    fn only_names_and_ids_go_into_a_path() {
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
