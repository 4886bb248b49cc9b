//! The configuration file: sections named after the roles, keys named after their options.

use std::collections::BTreeMap;
use std::path::Path;

/// One section of a configuration file.
#[derive(Debug, Default)]
pub(super) struct Section {
    /// The file's name, for messages.
    pub(super) file_name: String,
    entries: toml::Table,
}

impl Section {
    /// Reads the file and picks one section. Anything in the file that `known` (each section with its keys) does not have is
    /// a problem.
    pub(super) fn read(
        path: &Path,
        section: &str,
        known: &BTreeMap<String, Vec<String>>,
        problems: &mut Vec<String>,
    ) -> Self {
        let file_name = path.display().to_string();
        let table = read_table(path).unwrap_or_else(|problem| {
            problems.push(problem);
            toml::Table::new()
        });
        let mut entries = toml::Table::new();
        for (name, value) in table {
            match checked(&file_name, &name, value, known, problems) {
                Some(found) if name == section => entries = found,
                _ => {}
            }
        }
        Self { file_name, entries }
    }

    /// The texts of a key, none if it is not there; an error if its value is no plain value.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, &'static str> {
        let values = match self.entries.get(key).cloned() {
            None => Vec::new(),
            Some(toml::Value::Array(values)) => values,
            Some(one) => vec![one],
        };
        let texts: Option<Vec<String>> = values.into_iter().map(plain_text).collect();
        texts.ok_or("must be a string, a number, true, false, or a list of strings")
    }
}

fn checked(
    file_name: &str,
    section: &str,
    value: toml::Value,
    known: &BTreeMap<String, Vec<String>>,
    problems: &mut Vec<String>,
) -> Option<toml::Table> {
    let Some(keys) = known.get(section) else {
        let names: Vec<_> = known.keys().map(|name| format!("[{name}]")).collect();
        problems.push(format!(
            "{file_name}: unknown section or key `{section}`; the sections are {}",
            names.join(", ")
        ));
        return None;
    };
    let toml::Value::Table(entries) = value else {
        problems.push(format!("{file_name}: `{section}` must be a section: write [{section}]"));
        return None;
    };
    for key in entries.keys().filter(|key| !keys.contains(key)) {
        problems.push(format!(
            "{file_name}: unknown key `{section}.{key}`; the keys are {}",
            keys.join(", ")
        ));
    }
    Some(entries)
}

fn read_table(path: &Path) -> Result<toml::Table, String> {
    let name = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|why| format!("{name}: can't read the configuration file: {why}"))?;
    // Only the message: the parser's own display quotes the line, which may contain a secret.
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
