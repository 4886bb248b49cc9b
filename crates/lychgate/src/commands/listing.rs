//! Listings: one page, or with `--all` one after the other until the last, each printed before the next is asked for, so that
//! memory does not grow with their number.

use super::Query;
use crate::client::ApiClient;
use crate::failure::{Failure, Outcome};
use crate::terminal::output::{Field, Format, FormatArgs, indented, json, line, note, write};
use crate::terminal::plain::plain;
use crate::terminal::table::{Table, room};
use serde_json::Value;

/// The options of a listing.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Maximum number of entries, at most 200 [default: 50]
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Continue after this cursor, which the previous page printed
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// List all entries, not only one page
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Show all columns, however wide the terminal is
    #[arg(long)]
    wide: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// So many entries are asked for at a time when all are wanted: the most there may be.
const PAGE: &str = "200";

/// What a listing is of.
pub(crate) struct Listing {
    /// Its path in the API.
    pub(crate) path: &'static str,
    /// The member of the answer that has the entries.
    pub(crate) entries: &'static str,
    /// The columns of a table, the most important first.
    pub(crate) columns: &'static [Field],
    /// Those that only `--wide` shows.
    pub(crate) more: &'static [Field],
}

impl Listing {
    /// Prints it.
    pub(crate) async fn print(&self, api: &ApiClient, filters: Query, args: ListArgs) -> Outcome {
        self.print_with(api, filters, args, async |rows| Ok(rows)).await
    }

    /// Prints it; `explained` makes rows of a table from the entries of a page.
    pub(crate) async fn print_with(
        &self,
        api: &ApiClient,
        mut filters: Query,
        args: ListArgs,
        explained: impl AsyncFn(Vec<Value>) -> Outcome<Vec<Value>>,
    ) -> Outcome {
        let limit = if args.all {
            Some(PAGE.to_owned())
        } else {
            args.limit.map(|limit| limit.to_string())
        };
        filters.extend([("limit", limit), ("after", args.after.clone())]);
        let mut out = Printer::new(self, &args);
        loop {
            let mut answer = api
                .get_with(self.path, &filters)
                .await
                .map_err(|error| out.broken_off(error.into()))?;
            let Value::Array(entries) = answer[self.entries].take() else {
                return Err(Failure::Failed(format!(
                    "the server's response has no `{}`: this program and the server may be different versions",
                    self.entries
                )));
            };
            let entries = if args.format.output == Format::Table {
                explained(entries).await.map_err(|error| out.broken_off(error))?
            } else {
                entries
            };
            let next = answer["next"].as_str().map(str::to_owned);
            out.page(&entries, next.as_deref())?;
            match next {
                Some(next) if args.all => {
                    filters.pop();
                    filters.push(("after", Some(next)));
                }
                _ => return out.end(),
            }
        }
    }
}

/// What has been printed so far.
struct Printer<'l> {
    format: Format,
    entries: &'static str,
    all: bool,
    table: Table<'l>,
    /// Where the next page starts.
    next: Option<String>,
    /// Whether an entry went out.
    begun: bool,
}

impl<'l> Printer<'l> {
    fn new(listing: &'l Listing, args: &ListArgs) -> Self {
        let more = if args.wide { listing.more } else { &[] };
        let room = if args.wide { None } else { room() };
        Self {
            format: args.format.output,
            entries: listing.entries,
            all: args.all,
            table: Table::new(listing.columns.iter().chain(more), room),
            next: None,
            begun: false,
        }
    }

    fn page(&mut self, entries: &[Value], next: Option<&str>) -> Outcome {
        self.next = next.map(str::to_owned);
        match self.format {
            Format::Table => write(&self.table.page(entries))?,
            Format::Jsonl => entries.iter().try_for_each(|entry| json(Format::Jsonl, entry))?,
            // The API's answer, as if all pages were one.
            Format::Json => {
                for entry in entries {
                    let opening = if self.begun {
                        ",".to_owned()
                    } else {
                        format!("{{\n  \"{}\": [", self.entries)
                    };
                    write(&format!("{opening}\n    {}", indented(entry).replace('\n', "\n    ")))?;
                    self.begun = true;
                }
            }
        }
        Ok(())
    }

    fn end(self) -> Outcome {
        let next = self.next.map_or(Value::Null, Value::from);
        match (self.format, next.as_str()) {
            (Format::Json, _) if self.begun => line(&format!("\n  ],\n  \"next\": {next}\n}}"))?,
            (Format::Json, _) => line(&format!("{{\n  \"{}\": [],\n  \"next\": {next}\n}}", self.entries))?,
            (_, Some(next)) => note(&format!(
                "more entries follow: --all lists them, --after {} continues",
                plain(next)
            )),
            _ => {}
        }
        if self.format == Format::Table && self.table.left_out > 0 {
            note(&format!(
                "some columns do not fit ({}): --wide shows all",
                self.table.left_out
            ));
        }
        Ok(())
    }

    /// Whoever reads on has to know from where.
    fn broken_off(&self, why: Failure) -> Failure {
        match (&self.next, why) {
            (Some(next), Failure::Failed(why)) if self.all => Failure::Failed(format!(
                "{why}\n  the listing is not complete: --all --after {} continues",
                plain(next)
            )),
            (_, why) => why,
        }
    }
}
