//! Output of the client commands: text for people, JSON for programs. Text from elsewhere can't control the terminal
//! ([`super::plain`]). Not here: listings, which come page by page (`commands::listing`), and how a table is laid out
//! ([`super::table`]).

use super::plain::{plain, plain_json};
use super::table::Table;
use crate::failure::{Failure, Outcome};
use clap::ValueEnum;
use serde_json::Value;
use std::io::{ErrorKind, Write};

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// The API's answer, for programs.
    Json,
    /// A line of JSON for each entry.
    Jsonl,
}

/// The option for the output format.
#[derive(Debug, clap::Args)]
pub(crate) struct FormatArgs {
    /// Output format: table, json or jsonl (one line for each entry)
    #[arg(
        short,
        long,
        value_enum,
        default_value = "table",
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    pub(crate) output: Format,
}

/// A column of a listing, or a line of a record: its title, and the path of its value in the answer (`user.username`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field(pub(crate) &'static str, pub(crate) &'static str);

/// Writes to standard output. A closed pipe is [`Failure::OutputClosed`], not an error.
pub(crate) fn write(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|why| match why.kind() {
            ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::Failed(format!("can't write to standard output: {why}")),
        })
}

/// Writes a line to standard output.
pub(crate) fn line(text: &str) -> Outcome {
    write(&format!("{text}\n"))
}

/// Prints a message to standard error, next to the actual output. If standard error is closed, that is ignored.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints one thing: a line per field, or the whole answer as JSON.
pub(crate) fn record(format: Format, answer: &Value, fields: &[Field]) -> Outcome {
    match format {
        Format::Table => write(&lines(answer, fields)),
        format => json(format, answer),
    }
}

/// Prints an answer as JSON, which no text in it can use to steer a terminal: indented, or in one line.
pub(crate) fn json(format: Format, answer: &Value) -> Outcome {
    match format {
        Format::Jsonl => line(&plain_json(&answer.to_string())),
        Format::Json | Format::Table => line(&indented(answer)),
    }
}

/// An answer as indented JSON.
pub(crate) fn indented(answer: &Value) -> String {
    plain_json(&format!("{answer:#}"))
}

/// All rows as a table of these columns, as wide as it has to be.
pub(crate) fn table(rows: &[Value], fields: &[Field]) -> String {
    Table::new(fields, None).page(rows)
}

/// One line per field, the values below one another.
pub(crate) fn lines(answer: &Value, fields: &[Field]) -> String {
    let width = fields.iter().map(|field| field.0.chars().count()).max().unwrap_or(0) + 2;
    fields
        .iter()
        .map(|field| format!("{:width$}{}\n", field.0, cell(value_at(answer, field.1))))
        .collect()
}

pub(super) fn value_at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, key| &value[key])
}

pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => plain(&without_fraction(text)),
        Value::Array(values) if values.is_empty() => "-".to_owned(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(_) => plain(&value.to_string()),
    }
}

/// A time to the second; any other text as it is. Tables have no room for microseconds.
fn without_fraction(text: &str) -> String {
    match (text.parse::<lychgate_types::Timestamp>(), text.split_once('.')) {
        (Ok(_), Some((seconds, _))) if text.ends_with('Z') => format!("{seconds}Z"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_lines_its_values_up() {
        let answer = json!({"id": 7, "name": "dev"});
        assert_eq!(
            lines(&answer, &[Field("id", "id"), Field("name", "name")]),
            "id    7\nname  dev\n"
        );
    }
}
