//! Tables without frames, so that they can be cut and searched with the usual tools. A row is one line.
//!
//! On a terminal, columns that have no room are left out from the right, and the last one shown may be cut; ids, times and what is no
//! longer than those never are. In a file or a pipe every line is whole.

use super::output::{Field, cell, value_at};
use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table as Layout, Width, presets};
use lychgate_types::RequestId;
use serde_json::Value;
use std::io::IsTerminal;

/// Where a terminal does not say how wide it is.
const USUAL_WIDTH: usize = 80;
/// Between two columns.
const GAP: usize = 2;
/// A column is not cut to less.
const LEAST: usize = 12;
/// Nor where it is no wider: `2026-11-30T13:30:00Z`.
const TIME: usize = 20;

/// How wide a line may be; `None`: there is no limit.
pub(crate) fn room() -> Option<usize> {
    let told = || Layout::new().width().map(usize::from).filter(|width| *width > 0);
    std::io::stdout().is_terminal().then(|| told().unwrap_or(USUAL_WIDTH))
}

/// A table that is printed page by page.
pub(crate) struct Table<'f> {
    fields: Vec<&'f Field>,
    room: Option<usize>,
    /// Of the columns of the page before; empty before the first.
    widths: Vec<usize>,
    /// How many columns had no room on some page.
    pub(crate) left_out: usize,
}

impl<'f> Table<'f> {
    /// A table of these columns, the most important first.
    pub(crate) fn new(fields: impl IntoIterator<Item = &'f Field>, room: Option<usize>) -> Self {
        Self {
            fields: fields.into_iter().collect(),
            room,
            widths: Vec::new(),
            left_out: 0,
        }
    }

    /// The lines of the next page, after the titles where this is the first or stands otherwise than the one before.
    pub(crate) fn page(&mut self, rows: &[Value]) -> String {
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| self.fields.iter().map(|field| cell(value_at(row, field.1))).collect())
            .collect();
        let titles: Vec<String> = self.fields.iter().map(|field| field.0.to_uppercase()).collect();
        let mut widths = self
            .layout(&titles, &cells, self.fields.len())
            .column_max_content_widths();
        let mut widths: Vec<usize> = widths.drain(..).map(usize::from).collect();
        let first = self.widths.is_empty();
        match self.room {
            Some(room) => {
                let whole = |at: usize| widths[at] <= TIME || cells.iter().any(|row| is_id(&row[at]));
                widths = fitting(&widths, whole, room);
            }
            // Titles that have gone out stand as they are; later columns only grow.
            None => widths
                .iter_mut()
                .zip(&self.widths)
                .for_each(|(width, before)| *width = (*width).max(*before)),
        }
        self.left_out = self.left_out.max(self.fields.len() - widths.len());
        let with_titles = first || (self.room.is_some() && widths != self.widths);
        self.widths = widths;
        let mut layout = self.layout(&titles, &cells, self.widths.len());
        for (at, column) in layout.column_iter_mut().enumerate() {
            let gap = if at + 1 == self.widths.len() { 0 } else { GAP };
            let width = u16::try_from(self.widths[at] + gap).unwrap_or(u16::MAX);
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
            column.set_padding((0, u16::try_from(gap).unwrap_or(0)));
        }
        let skipped = usize::from(!with_titles);
        layout
            .lines()
            .skip(skipped)
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
    }

    fn layout(&self, titles: &[String], cells: &[Vec<String>], columns: usize) -> Layout {
        let mut layout = Layout::new();
        layout
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_truncation_indicator("…");
        let lines = std::iter::once(titles).chain(cells.iter().map(Vec::as_slice));
        for line in lines {
            let mut row = Row::from(&line[..columns]);
            row.max_height(1);
            layout.add_row(row);
        }
        layout
    }
}

fn is_id(text: &str) -> bool {
    text.parse::<RequestId>().is_ok()
}

/// The widths of those columns that have room, the last of them cut if need be, unless it is to be `whole`. The first is always there,
/// and whole.
fn fitting(natural: &[usize], whole: impl Fn(usize) -> bool, room: usize) -> Vec<usize> {
    let mut fitting = Vec::with_capacity(natural.len());
    let mut left = room;
    for (at, &width) in natural.iter().enumerate() {
        let gap = if fitting.is_empty() { 0 } else { GAP };
        match left.checked_sub(gap + width) {
            Some(rest) => {
                fitting.push(width);
                left = rest;
            }
            None if fitting.is_empty() => {
                fitting.push(width);
                break;
            }
            None if left >= gap + LEAST && !whole(at) => {
                fitting.push(left - gap);
                break;
            }
            None => break,
        }
    }
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const FIELDS: &[Field] = &[
        Field("id", "id"),
        Field("created", "created_at"),
        Field("by", "by.name"),
        Field("on", "on"),
        Field("scopes", "scopes"),
        Field("text", "text"),
    ];
    const ID: &str = "0192d3c4-5b6a-7c8d-9e0f-112233445566";

    fn rows() -> Vec<Value> {
        vec![
            json!({"id": ID, "created_at": "2026-11-24T09:30:00.123456Z", "by": {"name": "admin"}, "on": true, "text": "漢字".repeat(40)}),
            json!({"id": ID, "created_at": null, "scopes": ["a:*", "b:read"]}),
        ]
    }

    #[test]
    fn in_a_pipe_every_line_is_whole_and_later_pages_stand_below_the_same_titles() {
        let mut table = Table::new(FIELDS, None);
        let printed = table.page(&rows());
        let words: Vec<Vec<&str>> = printed
            .lines()
            .map(|line| {
                line.split("  ")
                    .map(str::trim)
                    .filter(|word| !word.is_empty())
                    .collect()
            })
            .collect();
        let text = "漢字".repeat(40);
        assert_eq!(words[0], ["ID", "CREATED", "BY", "ON", "SCOPES", "TEXT"]);
        assert_eq!(words[1], [ID, "2026-11-24T09:30:00Z", "admin", "yes", "-", &text]);
        assert_eq!(words[2], [ID, "-", "-", "-", "a:*, b:read", "-"]);
        assert!(printed.lines().all(|line| line == line.trim_end()));
        let more = table.page(&[json!({"id": "x", "by": {"name": "somebody-else"}})]);
        assert_eq!(more.lines().count(), 1, "{more}");
        assert_eq!(more.find("somebody"), printed.find("BY"));
    }

    #[test]
    fn on_a_terminal_lines_fit_and_ids_are_whole() {
        for room in [1, 20, 40, 80, 100, 132, 400] {
            let mut table = Table::new(FIELDS, Some(room));
            let printed = table.page(&rows());
            assert_eq!(printed.lines().count(), 3, "{room}: {printed}");
            assert_eq!(printed.matches(ID).count(), 2, "{room}: {printed}");
            let width = |line: &str| line.chars().map(|c| if c > '\u{2e80}' { 2 } else { 1 }).sum::<usize>();
            assert!(
                printed.lines().all(|line| width(line) <= room.max(ID.len())),
                "{room}: {printed}"
            );
        }
        let mut table = Table::new(FIELDS, Some(100));
        assert!(table.page(&rows()).contains("a:*, b:read"));
        assert_eq!(table.left_out, 0);
        let mut table = Table::new(FIELDS, Some(80));
        table.page(&rows());
        assert_eq!(table.left_out, 2);
    }

    #[test]
    fn columns_leave_from_the_right() {
        let fit = |natural: &[usize], room| fitting(natural, |at| natural[at] == 36, room);
        assert_eq!(fit(&[36, 20, 8], 80), [36, 20, 8]);
        assert_eq!(fit(&[36, 20, 30, 5], 80), [36, 20, 20]);
        assert_eq!(fit(&[36, 20, 30, 5], 65), [36, 20]);
        assert_eq!(fit(&[20, 36], 50), [20], "an id is whole or not there");
        assert_eq!(fit(&[36, 20], 10), [36]);
    }
}
