//! Output of the client commands: tables for people, JSON for programs. Text from elsewhere (a user agent, a prompt) can't
//! control the terminal: its control characters are escaped.

use crate::failure::{Failure, Outcome};
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;
use std::io::{ErrorKind, IsTerminal, Write};

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// The API's answer, for programs.
    Json,
}

/// The option for the output format.
#[derive(Debug, clap::Args)]
pub(crate) struct FormatArgs {
    /// Output format: table or json
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

/// Prints a page of a listing: `answer[list]` as a table, or the whole answer as JSON.
pub(crate) fn listing(format: Format, answer: &Value, list: &str, fields: &[Field]) -> Outcome {
    if format == Format::Json {
        return json(answer);
    }
    let rows = answer[list].as_array().map(Vec::as_slice).unwrap_or_default();
    write(&table(rows, fields))?;
    if let Some(next) = answer["next"].as_str() {
        note(&format!("more entries follow; continue with --after {}", plain(next)));
    }
    Ok(())
}

/// Prints one thing: a line per field, or the whole answer as JSON.
pub(crate) fn record(format: Format, answer: &Value, fields: &[Field]) -> Outcome {
    match format {
        Format::Json => json(answer),
        Format::Table => write(&lines(answer, fields)),
    }
}

/// Prints an answer as indented JSON, which no text in it can use to steer a terminal.
pub(crate) fn json(answer: &Value) -> Outcome {
    line(&plain_json(&format!("{answer:#}")))
}

/// The same JSON with what steers a terminal as escapes: outside of strings there is none of it, but for the line ends.
fn plain_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            c if c != '\n' && steers(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// A table of rows, without frames, so that it can be cut and searched with the usual tools.
pub(crate) fn table(rows: &[Value], fields: &[Field]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(fields.iter().map(|field| field.0.to_uppercase()));
    let fits = std::io::stdout().is_terminal();
    table.set_content_arrangement(if fits {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    });
    for row in rows {
        table.add_row(fields.iter().map(|field| cell(at(row, field.1))));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// One line per field, the values below one another.
pub(crate) fn lines(answer: &Value, fields: &[Field]) -> String {
    let width = fields.iter().map(|field| field.0.chars().count()).max().unwrap_or(0) + 2;
    fields
        .iter()
        .map(|field| format!("{:width$}{}\n", field.0, cell(at(answer, field.1))))
        .collect()
}

fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, key| &value[key])
}

fn cell(value: &Value) -> String {
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

/// Text in one line, with everything that could steer a terminal made visible.
pub(crate) fn plain(text: &str) -> String {
    escaped(text, false)
}

/// Text with its line ends and tabs, everything else that could steer a terminal made visible.
pub(crate) fn plain_lines(text: &str) -> String {
    escaped(text, true)
}

/// Whether a character is a control character, sets the direction of writing (by which text can be made to look like other text), or
/// ends a line without looking so. All of them are written with four hexadecimal digits.
fn steers(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

fn escaped(text: &str, keep_lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' if keep_lines => out.push(c),
            c if steers(c) => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_has_a_column_per_field() {
        let rows = [
            json!({"name": "edge-1", "created_at": "2026-11-24T09:30:00.123456Z", "by": {"name": "admin"}, "on": true}),
            json!({"name": "x", "created_at": null, "scopes": ["a:*", "b:read"]}),
        ];
        let fields = [
            Field("name", "name"),
            Field("created", "created_at"),
            Field("by", "by.name"),
            Field("on", "on"),
            Field("scopes", "scopes"),
        ];
        let printed = table(&rows, &fields);
        let words: Vec<Vec<&str>> = printed
            .lines()
            .map(|line| line.split("  ").map(str::trim).filter(|w| !w.is_empty()).collect())
            .collect();
        assert_eq!(
            words,
            [
                vec!["NAME", "CREATED", "BY", "ON", "SCOPES"],
                vec!["edge-1", "2026-11-24T09:30:00Z", "admin", "yes", "-"],
                vec!["x", "-", "-", "-", "a:*, b:read"],
            ]
        );
        assert!(printed.lines().all(|line| line == line.trim_end()));
    }

    #[test]
    fn nothing_in_an_answer_steers_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(plain("user\u{202e}nimda"), "user\\u{202e}nimda");
        assert_eq!(plain_lines("a\n\tb\r"), "a\n\tb\\r");
        assert_eq!(plain("zoë – 漢字"), "zoë – 漢字");
        let answer = json!({"name": "a\u{9b}2J\u{7f}\u{202e}b\u{2028}zoë\n"});
        let printed = plain_json(&format!("{answer:#}"));
        assert_eq!(printed, "{\n  \"name\": \"a\\u009b2J\\u007f\\u202eb\\u2028zoë\\n\"\n}");
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), answer);
    }

    #[test]
    fn a_record_lines_its_values_up() {
        let answer = json!({"id": 7, "name": "dev"});
        assert_eq!(
            lines(&answer, &[Field("id", "id"), Field("name", "name")]),
            "id    7\nname  dev\n"
        );
    }
}
