//! Where a role's settings come from: options, then the environment (`LYCHGATE_` and the option in upper case), then the file
//! given by `--config`, then the default. All problems are collected and reported together; no message repeats a secret.
//!
//! Not here: which settings a role has (`roles::args`) and what they mean (`roles`).

pub(crate) mod byte_size;
pub(crate) mod duration;
mod environment;
mod file;
pub(crate) mod moment;
mod secret;
pub(crate) mod secret_file;
mod unknown;

pub(crate) use environment::{Environment, variable_name};
pub(crate) use secret::{FileAccess, SecretFlags, others_have_access, owner_only, read_secret, shown_path};
pub(crate) use unknown::UnknownVariable;

use crate::failure::{Failure, Outcome};
use file::Section;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

/// A setting's text and where it was found, as the user would call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// The text as given.
    pub(crate) text: String,
    /// `--listen`, `LYCHGATE_LISTEN`, `server.listen in lychgate.toml`.
    pub(crate) origin: String,
}

impl Given {
    fn by_flag(name: &str, text: Option<String>) -> Option<Self> {
        text.map(|text| Self {
            text,
            origin: format!("--{name}"),
        })
    }
}

/// The layers of one role's settings, and the problems found so far.
#[derive(Debug)]
pub(crate) struct Settings {
    section: &'static str,
    environment: Environment,
    file: Section,
    problems: Vec<String>,
}

impl Settings {
    /// Reads the configuration file, if `config` or `LYCHGATE_CONFIG` names one. `known` has each section of the file with its
    /// keys; anything else in the file is a problem.
    pub(crate) fn load(
        section: &'static str,
        config: Option<PathBuf>,
        environment: Environment,
        known: &BTreeMap<String, Vec<String>>,
    ) -> Self {
        let mut settings = Self {
            section,
            environment,
            file: Section::default(),
            problems: Vec::new(),
        };
        let path = config.or_else(|| settings.variable("config").map(PathBuf::from));
        if let Some(path) = path {
            settings.file = Section::read(&path, section, known, &mut settings.problems);
        }
        settings
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

    /// The environment's variables that look like settings and are none.
    pub(crate) fn unknown_variables(&self, known: &BTreeMap<String, Vec<String>>) -> Vec<UnknownVariable> {
        unknown::find(self.environment.names(), known)
    }

    /// A setting's text.
    pub(crate) fn text(&mut self, name: &'static str, flag: Option<String>) -> Option<Given> {
        Given::by_flag(name, flag)
            .or_else(|| self.given_by_variable(name))
            .or_else(|| self.given_by_file(name).pop())
    }

    /// A setting's text, parsed as `T`.
    pub(crate) fn value<T: FromStr<Err: Display>>(&mut self, name: &'static str, flag: Option<String>) -> Option<T> {
        let given = self.text(name, flag)?;
        let read = given.text.parse();
        read.map_err(|why| self.problem(format!("{}: `{}`: {why}", given.origin, given.text)))
            .ok()
    }

    /// A repeatable setting; its values are separated by commas in the environment, and a list in the file.
    pub(crate) fn list(&mut self, name: &'static str, flags: Vec<String>) -> Vec<Given> {
        if !flags.is_empty() {
            return flags
                .into_iter()
                .filter_map(|text| Given::by_flag(name, Some(text)))
                .collect();
        }
        match self.given_by_variable(name) {
            None => self.given_by_file(name),
            Some(Given { text, origin }) => {
                let part = |text: &str| Given {
                    text: text.trim().to_owned(),
                    origin: origin.clone(),
                };
                text.split(',').map(part).collect()
            }
        }
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
        let origin = format!("{}.{name} in {}", self.section, self.file.file_name);
        match self.file.texts(name) {
            Ok(texts) => texts
                .into_iter()
                .map(|text| Given {
                    text,
                    origin: origin.clone(),
                })
                .collect(),
            Err(why) => {
                self.problem(format!("{origin}: {why}"));
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests;
