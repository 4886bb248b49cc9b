//! What makes, changes or deletes an object that a provider stores: only which one, and whether it succeeded. No model is involved.

use super::error::{ErrorBody, done_event};
use super::responses::request::references;
use crate::capture::Capture;
use crate::form::{self, Boundary};
use crate::format::{ApiFormat, ResponseFormat};
use crate::json::unique::is_spelling_of;
use crate::json::{self, Raw, members};
use crate::named::may_name;
use crate::sse::{Event, Ignored};
use crate::{ErrorFacts, MalformedBody, RequestFacts, ResponseFacts};

members! {
    struct Request<'de> { items: Raw<'de> = b"items", }
}

members! {
    struct Answer<'de> {
        id: Raw<'de> = b"id",
        file: Raw<'de> = b"file",
        object: Raw<'de> = b"object",
        status: Raw<'de> = b"status",
        output_file_id: Raw<'de> = b"output_file_id",
        error_file_id: Raw<'de> = b"error_file_id",
        errors: Raw<'de> = b"errors",
    }
}

members! {
    struct Errors<'de> { data: Raw<'de> = b"data", }
}

/// The states in which a batch has ended.
const ENDED: [&str; 4] = ["completed", "failed", "expired", "cancelled"];

/// Stored objects of OpenAI.
pub(crate) struct Objects;

impl ApiFormat for Objects {
    /// Most have none. What can't be read is for the provider to judge, unless it may name an object.
    fn read_request(&self, body: &[u8]) -> Result<RequestFacts, MalformedBody> {
        let items = match json::body::<Request<'_>>(body) {
            Ok(request) => request.items,
            Err(MalformedBody::Syntax { .. } | MalformedBody::NotAnObject) if !may_name(body) => {
                return Ok(RequestFacts::default());
            }
            Err(error) => return Err(error),
        };
        Ok(RequestFacts {
            objects: references(items)?.into_iter().collect(),
            ..RequestFacts::default()
        })
    }

    /// Of a form, nothing but the objects that it names, which are found in every one. Items, which may refer to others, are in
    /// JSON as a rule: a form with some is refused.
    fn read_form(&self, body: &[u8], boundary: Boundary<'_>) -> Option<Result<RequestFacts, MalformedBody>> {
        let read = form::each_part(body, boundary, |part| {
            match form::words(part.name).any(|word| is_spelling_of(word, b"items")) {
                true => Err(MalformedBody::Form("it has items, which are read in JSON only")),
                false => Ok(()),
            }
        });
        Some(read.map(|()| RequestFacts::default()))
    }

    fn response(&self, _: Capture) -> Box<dyn ResponseFormat> {
        Box::new(Reader::default())
    }

    fn error_event(&self, status: u16, message: &str) -> Vec<u8> {
        done_event(status, message).into_bytes()
    }
}

/// Reads an answer.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    id: String,
    /// The file that an upload became, or those that a batch has made.
    files: Vec<String>,
    /// How a batch has ended; it goes on in the background before.
    ended: Option<&'static str>,
    in_background: bool,
    error: Option<ErrorFacts>,
}

impl Reader {
    fn batch(&mut self, batch: &Answer<'_>) {
        self.ended = ENDED.into_iter().find(|state| batch.status.is(state));
        self.in_background = self.ended.is_none() && batch.status.is_some();
        if self.ended == Some("failed") {
            let errors: Errors<'_> = batch.errors.object().unwrap_or_default();
            let mut first = None;
            errors.data.for_each(|error| _ = first.get_or_insert(error));
            let unnamed = ErrorFacts {
                error_type: "failed".to_owned(),
                ..ErrorFacts::default()
            };
            self.error = first.and_then(ErrorBody::member).or(Some(unnamed));
        }
    }
}

impl ResponseFormat for Reader {
    fn event(&mut self, _: &Event<'_>) -> Option<Ignored> {
        Some(Ignored::Nothing)
    }

    fn body(&mut self, body: &[u8]) -> bool {
        let Some(answer) = json::object::<Answer<'_>>(body) else {
            return false;
        };
        self.id = answer.id.name();
        let file: Option<Answer<'_>> = answer.file.object();
        let made = file
            .map(|file| file.id)
            .into_iter()
            .chain([answer.output_file_id, answer.error_file_id]);
        self.files = made.map(|id| id.name()).filter(|id| !id.is_empty()).collect();
        self.error = ErrorBody::read(body);
        if answer.object.is("batch") {
            self.batch(&answer);
        }
        true
    }

    fn facts(self: Box<Self>) -> ResponseFacts {
        ResponseFacts {
            provider_response_id: self.id,
            item_ids: self.files,
            stop_reason: self.ended.map(str::to_owned),
            in_background: self.in_background,
            error: self.error,
            ..ResponseFacts::default()
        }
    }
}
