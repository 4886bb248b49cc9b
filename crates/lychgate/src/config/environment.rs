//! The environment variables of this process.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// The environment, captured once so that tests can have their own. An empty variable counts as unset.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// The environment of this process.
    pub(crate) fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect()
    }

    /// The names of all variables.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A variable's text; an error (without the text) if it is not UTF-8.
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

/// The environment variable of an option.
pub(crate) fn variable_name(option: &str) -> String {
    format!("LYCHGATE_{}", option.replace('-', "_").to_uppercase())
}
