//! Environment variables that look like settings and are none: usually misspelt ones, which would be ignored in silence.

use super::variable_name;
use std::collections::BTreeMap;
use std::fmt;

/// Variables that are no option of a role: those of the client commands, and secrets that have no option of their own.
const OTHERS: [&str; 7] = [
    "config",
    "url",
    "token",
    "token-file",
    "master-key",
    "bootstrap-token",
    "user-token", // of our examples
];
const PREFIX: &str = "LYCHGATE_";
/// How alike two names are, without the prefix, for one to be suggested for the other.
const ALIKE: f64 = 0.85;

/// A variable that nothing reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnknownVariable {
    name: String,
    suggestion: Option<String>,
}

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the environment variable {} is no setting and is ignored", self.name)?;
        match &self.suggestion {
            Some(name) => write!(f, "; did you mean {name}?"),
            None => Ok(()),
        }
    }
}

/// Finds them among `names`. `known` has the options of each role.
pub(super) fn find<'a>(
    names: impl Iterator<Item = &'a str>,
    known: &BTreeMap<String, Vec<String>>,
) -> Vec<UnknownVariable> {
    let options = known.values().flatten().map(String::as_str).chain(OTHERS);
    let known: Vec<String> = options.map(variable_name).collect();
    let unknown = names.filter(|name| {
        name.starts_with(PREFIX) && !is_of_an_orchestrator(name) && !known.iter().any(|known| known == name)
    });
    unknown
        .map(|name| UnknownVariable {
            name: name.to_owned(),
            suggestion: closest(name, &known),
        })
        .collect()
}

/// Kubernetes and Docker tell each container where a service called `lychgate` is.
fn is_of_an_orchestrator(name: &str) -> bool {
    name.contains("_SERVICE_") || name.contains("_PORT_") || name.ends_with("_PORT")
}

fn closest(name: &str, known: &[String]) -> Option<String> {
    let end = |name: &str| name.trim_start_matches(PREFIX).to_owned();
    let rated = known.iter().map(|known| (strsim::jaro(&end(name), &end(known)), known));
    let (alike, known) = rated.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (alike > ALIKE).then(|| known.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_settings_are_found_and_what_others_set_is_not() {
        let known = BTreeMap::from([(
            "gateway".to_owned(),
            vec!["listen".to_owned(), "control-url".to_owned()],
        )]);
        let names = [
            "PATH",
            "LYCHGATE_LISTEN",
            "LYCHGATE_LISTN",
            "LYCHGATE_TOKEN_FILE",
            "LYCHGATE_COLOUR",
            "LYCHGATE_PORT",
            "LYCHGATE_SERVICE_HOST",
            "LYCHGATE_PORT_8080_TCP_ADDR",
        ];
        let found: Vec<String> = find(names.into_iter(), &known)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "the environment variable LYCHGATE_LISTN is no setting and is ignored; did you mean LYCHGATE_LISTEN?",
                "the environment variable LYCHGATE_COLOUR is no setting and is ignored",
            ]
        );
    }
}
