//! Where a role's settings come from: flags, then the environment (`LYCHGATE_` and the flag in capitals), then the file
//! given by `--config`, then the default. Every problem is collected, so that all are told at once; nothing here repeats a
//! secret.
//!
//! Not here: which settings a role has (`args.rs`) and what they mean (`roles`).

pub(crate) mod byte_size;
pub(crate) mod duration;
mod secret;
pub(crate) mod secret_file;

pub(crate) use secret::{private, read_secret, shown_path};

use crate::failure::{Failure, Outcome};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The environment, captured once so that tests can have their own. An empty variable counts as one that is not set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// This process's environment.
    pub(crate) fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect()
    }

    /// A variable's text; an error (without the text) when it is not UTF-8.
    pub(crate) fn get(&self, name: &str) -> Result<Option<&str>, String> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => match value.to_str() {
                Some("") => Ok(None),
                Some(text) => Ok(Some(text)),
                None => Err(format!("{name}: not valid UTF-8")),
            },
        }
    }
}

impl<T: Into<OsString>> FromIterator<(String, T)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect(),
        )
    }
}

/// A setting's text and where it was found, as the user would name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// The text as given.
    pub(crate) text: String,
    /// `--listen`, `LYCHGATE_LISTEN`, `server.listen in lychgate.toml`.
    pub(crate) origin: String,
}

/// The layers of one role's settings, and the problems found so far.
#[derive(Debug)]
pub(crate) struct Settings {
    section: &'static str,
    environment: Environment,
    file: toml::Table,
    file_name: String,
    problems: Vec<String>,
}

impl Settings {
    /// Reads the configuration file, if one is given by flag or by `LYCHGATE_CONFIG`. `known` has each section of the file
    /// with its keys; anything else in the file is a problem.
    pub(crate) fn load(
        section: &'static str,
        config: Option<PathBuf>,
        environment: Environment,
        known: &BTreeMap<String, Vec<String>>,
    ) -> Self {
        let mut settings = Self {
            section,
            environment,
            file: toml::Table::new(),
            file_name: String::new(),
            problems: Vec::new(),
        };
        let path = config.or_else(|| settings.variable("config").map(PathBuf::from));
        if let Some(path) = path {
            settings.file_name = path.display().to_string();
            match read_table(&path) {
                Ok(table) => settings.take_file(table, known),
                Err(problem) => settings.problem(problem),
            }
        }
        settings
    }

    fn take_file(&mut self, table: toml::Table, known: &BTreeMap<String, Vec<String>>) {
        for (section, value) in table {
            let Some(keys) = known.get(&section) else {
                let sections = known
                    .keys()
                    .map(|name| format!("[{name}]"))
                    .collect::<Vec<_>>()
                    .join(", ");
                self.problem(format!(
                    "{}: unknown section or key `{section}`; the sections are {sections}",
                    self.file_name
                ));
                continue;
            };
            let toml::Value::Table(entries) = value else {
                self.problem(format!(
                    "{}: `{section}` must be a section: write [{section}]",
                    self.file_name
                ));
                continue;
            };
            for key in entries.keys().filter(|key| !keys.contains(key)) {
                let list = keys.join(", ");
                self.problem(format!(
                    "{}: unknown key `{section}.{key}`; the keys are {list}",
                    self.file_name
                ));
            }
            if section == self.section {
                self.file = entries;
            }
        }
    }

    /// Notes a problem.
    pub(crate) fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    /// How many problems were noted so far.
    pub(crate) fn problem_count(&self) -> usize {
        self.problems.len()
    }

    /// Ends the reading: an error that lists every problem, if there was one.
    pub(crate) fn finish(self) -> Outcome {
        match self.problems.as_slice() {
            [] => Ok(()),
            [one] => Err(Failure::Usage(one.clone())),
            many => Err(Failure::Usage(format!(
                "{} problems with the configuration:\n  {}",
                many.len(),
                many.join("\n  ")
            ))),
        }
    }

    /// A setting's text.
    pub(crate) fn text(&mut self, name: &'static str, flag: Option<String>) -> Option<Given> {
        self.texts(name, flag.into_iter().collect(), None).pop()
    }

    /// A setting's text, read as `T`.
    pub(crate) fn value<T: FromStr<Err: Display>>(&mut self, name: &'static str, flag: Option<String>) -> Option<T> {
        let given = self.text(name, flag)?;
        let read = given.text.parse();
        read.map_err(|why| self.problem(format!("{}: `{}`: {why}", given.origin, given.text)))
            .ok()
    }

    /// A repeatable setting; in the environment its values stand between commas, in the file in a list.
    pub(crate) fn list(&mut self, name: &'static str, flags: Vec<String>) -> Vec<Given> {
        self.texts(name, flags, Some(','))
    }

    /// A switch; `true` or `false` in the environment and the file.
    pub(crate) fn switch(&mut self, name: &'static str, flag: bool) -> bool {
        let Some(given) = self.text(name, flag.then(|| "true".to_owned())) else {
            return false;
        };
        match given.text.as_str() {
            "true" | "1" => true,
            "false" | "0" => false,
            other => {
                self.problem(format!("{}: `{other}`: write true or false", given.origin));
                false
            }
        }
    }

    /// A secret, given as itself or by a file that holds it. The upper layer wins; both in one layer is a problem.
    /// `parse` must not repeat the secret in its error.
    pub(crate) fn secret<T, E: Display>(
        &mut self,
        name: &'static str,
        file_name: &'static str,
        flags: SecretFlags,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.secret_and_file(name, file_name, flags, parse)
            .map(|(secret, _)| secret)
    }

    /// The same, with the file that it was read from, if it was.
    pub(crate) fn secret_and_file<T, E: Display>(
        &mut self,
        name: &'static str,
        file_name: &'static str,
        flags: SecretFlags,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<(T, Option<PathBuf>)> {
        let (given, file) = self.secret_text(name, file_name, flags)?;
        match parse(&given.text) {
            Ok(secret) => Some((secret, file)),
            Err(why) => {
                self.problem(format!("{}: {why}", given.origin));
                None
            }
        }
    }

    fn secret_text(
        &mut self,
        name: &'static str,
        file_name: &'static str,
        flags: SecretFlags,
    ) -> Option<(Given, Option<PathBuf>)> {
        let layers = [
            (
                self.given_by_flag(name, flags.value),
                self.given_by_flag(file_name, flags.file),
            ),
            (self.given_by_variable(name), self.given_by_variable(file_name)),
            (self.given_by_file(name).pop(), self.given_by_file(file_name).pop()),
        ];
        for layer in layers {
            match layer {
                (None, None) => {}
                (Some(value), None) => return Some((value, None)),
                (None, Some(file)) => {
                    let origin = format!("{} {}", file.origin, shown_path(&file.text));
                    let path = Path::new(&file.text);
                    let checked = if flags.private { private(path) } else { Ok(()) };
                    return match checked.and_then(|()| read_secret(path)) {
                        Ok(text) => Some((Given { text, origin }, Some(path.to_owned()))),
                        Err(why) => {
                            self.problem(format!("{origin}: {why}"));
                            None
                        }
                    };
                }
                (Some(value), Some(file)) => {
                    self.problem(format!(
                        "{} and {} are both set; set only one",
                        value.origin, file.origin
                    ));
                    return None;
                }
            }
        }
        None
    }

    fn texts(&mut self, name: &'static str, flags: Vec<String>, split: Option<char>) -> Vec<Given> {
        if !flags.is_empty() {
            return flags
                .into_iter()
                .filter_map(|text| self.given_by_flag(name, Some(text)))
                .collect();
        }
        match (self.given_by_variable(name), split) {
            (None, _) => self.given_by_file(name),
            (Some(given), None) => vec![given],
            (Some(Given { text, origin }), Some(split)) => {
                let part = |text: &str| Given {
                    text: text.trim().to_owned(),
                    origin: origin.clone(),
                };
                text.split(split).map(part).collect()
            }
        }
    }

    fn given_by_flag(&self, name: &str, text: Option<String>) -> Option<Given> {
        text.map(|text| Given {
            text,
            origin: format!("--{name}"),
        })
    }

    fn given_by_variable(&mut self, name: &str) -> Option<Given> {
        self.variable(name).map(|text| Given {
            text,
            origin: variable_name(name),
        })
    }

    fn variable(&mut self, name: &str) -> Option<String> {
        match self.environment.get(&variable_name(name)) {
            Ok(text) => text.map(str::to_owned),
            Err(problem) => {
                self.problem(problem);
                None
            }
        }
    }

    fn given_by_file(&mut self, name: &str) -> Vec<Given> {
        let Some(value) = self.file.get(name).cloned() else {
            return Vec::new();
        };
        let origin = format!("{}.{name} in {}", self.section, self.file_name);
        let values = match value {
            toml::Value::Array(values) => values,
            one => vec![one],
        };
        let texts: Option<Vec<String>> = values.into_iter().map(plain_text).collect();
        let Some(texts) = texts else {
            self.problem(format!(
                "{origin}: must be a text, a number, true, false, or a list of texts"
            ));
            return Vec::new();
        };
        texts
            .into_iter()
            .map(|text| Given {
                text,
                origin: origin.clone(),
            })
            .collect()
    }
}

/// What was given for a secret on the command line.
#[derive(Debug, Default)]
pub(crate) struct SecretFlags {
    /// The secret itself.
    pub(crate) value: Option<String>,
    /// The file that holds it.
    pub(crate) file: Option<String>,
    /// Whether a file that others can read is refused.
    pub(crate) private: bool,
}

/// The environment variable of a flag.
pub(crate) fn variable_name(flag: &str) -> String {
    format!("LYCHGATE_{}", flag.replace('-', "_").to_uppercase())
}

fn read_table(path: &Path) -> Result<toml::Table, String> {
    let name = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|why| format!("{name}: can't read the configuration file: {why}"))?;
    // Only the message: the parser's own display quotes the line, which may hold a secret.
    text.parse::<toml::Table>().map_err(|why| {
        let line = why
            .span()
            .map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        format!("{name}: line {line}: {}", why.message())
    })
}

fn plain_text(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(switch) => Some(switch.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
