//! What each API and each wire family implements.

use crate::capture::Capture;
use crate::form::Boundary;
use crate::frames::Frame;
use crate::limits::BODY_BYTES;
use crate::model_list::Model;
use crate::sse::{Event, Ignored};
use crate::{ErrorFacts, MalformedBody, RequestFacts, ResponseFacts};

/// How one API spells requests and answers.
pub(crate) trait ApiFormat: Sync {
    /// Reads a request's body.
    fn read_request(&self, body: &[u8]) -> Result<RequestFacts, MalformedBody>;

    /// Reads a request's body that is a form; `None` where the API knows no forms.
    fn read_form(&self, _body: &[u8], _boundary: Boundary<'_>) -> Option<Result<RequestFacts, MalformedBody>> {
        None
    }

    /// A reader for one answer.
    fn response(&self, capture: Capture) -> Box<dyn ResponseFormat>;

    /// Largest blocking answer that is parsed whole, in bytes.
    fn body_limit(&self) -> usize {
        BODY_BYTES
    }

    /// Whether an answer that is a list is a stream, element by element.
    fn streams_as_list(&self) -> bool {
        false
    }

    /// The body of a streaming request, changed so that the stream tells its usage; `None` where it does so anyway.
    fn with_usage_requested(&self, _body: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// What may stand between two events of a stream while the provider is silent: something that every client of this API
    /// passes over, and takes for a sign of life. `None` where there is no such thing. `client` is a name of
    /// [`crate::client`]'s table.
    fn filler(&self, _client: &str) -> Option<&'static [u8]> {
        None
    }

    /// Its streams are binary frames (AWS's event stream), and not server-sent events.
    fn is_framed(&self) -> bool {
        false
    }

    /// The error event that ends a stream, with whatever must follow it.
    fn error_event(&self, status: u16, message: &str) -> Vec<u8>;
}

/// Reads one answer of an API. Implementations skip what they can't read.
pub(crate) trait ResponseFormat: Send + Sync + std::fmt::Debug {
    /// What the answer's headers say; `header` gives the value of one by its name.
    fn head(&mut self, _header: &dyn Fn(&str) -> Option<String>) {}

    /// One frame of a stream, where those of the API are framed.
    fn frame(&mut self, _frame: &Frame<'_>) {}

    /// One event of a stream. Answers which others like it need not be shown: those that would change nothing, whatever came
    /// before them. `None` when its data is neither JSON nor a mark of the API's own.
    fn event(&mut self, event: &Event<'_>) -> Option<Ignored>;
    /// A whole blocking answer. False when it is not JSON.
    fn body(&mut self, body: &[u8]) -> bool;
    /// Whether what came may be a whole answer though it is neither JSON nor events: sound, say.
    fn may_be_anything(&self) -> bool {
        false
    }
    /// Whether the stream's last event was seen.
    fn is_complete(&self) -> bool {
        false
    }
    /// Whether the stream said that it failed, so that nothing more is to come.
    fn has_failed(&self) -> bool {
        false
    }
    /// Whether the model is known to have stopped, so that a stream which ends here is whole though its last event is missing.
    fn has_finished(&self) -> bool {
        false
    }
    /// How many of the answers that were asked for have begun; more than can be asked for, where there will be no further ones.
    fn answers(&self) -> usize {
        usize::MAX
    }
    /// Whether the clients of what came so far bear its [`ApiFormat::filler`].
    fn takes_filler(&self) -> bool {
        true
    }
    /// Bytes of what the model wrote, about, but for events of which something was said to be ignored.
    fn text_bytes(&self) -> u64 {
        0
    }
    /// What was found; `complete` may be left false for blocking answers.
    fn facts(self: Box<Self>) -> ResponseFacts;
}

/// How lists of models are asked for and spelt, for one kind of client.
pub(crate) trait ListFormat: Sync + std::fmt::Debug {
    /// What tells it from others.
    fn name(&self) -> &'static str;

    /// The query of a page, for a client of this version (empty where it does not say), behind the place that the page before named.
    fn query(&self, version: &str, after: Option<&str>) -> String;

    /// The headers that a provider needs beside its credential.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// The member of an answer that is the list, and that of an entry that names the model.
    fn members(&self) -> (&'static str, &'static str) {
        ("data", "id")
    }

    /// The parameters of a query that [`Self::list`] heeds, or that make no difference.
    fn parameters(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether an answer without the list is none.
    fn needs_list(&self) -> bool {
        true
    }

    /// The entry of a name that the operator gave, to the model with this entry if it is known.
    fn alias(&self, name: &str, original: Option<&str>) -> Option<String>;

    /// Whether answers come in pages.
    fn has_pages(&self) -> bool {
        false
    }

    /// Whether answers differ by the version of the client.
    fn has_versions(&self) -> bool {
        false
    }

    /// An answer with these models, as much of it as the query asks for.
    fn list(&self, models: &[&Model], query: Option<&str>) -> String;
}

/// How the providers of one wire family spell errors.
pub(crate) trait ErrorFormat: Sync {
    /// The error type that goes with a status.
    fn error_type(&self, status: u16) -> &'static str;

    /// The header that names the type, where the body does not.
    fn type_header(&self) -> Option<&'static str> {
        None
    }

    /// A whole body. It tells how long to wait before the next try, where such errors tell that.
    fn body(&self, status: u16, message: &str, retry_after_seconds: Option<u32>) -> String;

    /// Whether it says that the account of the key has no credit left.
    fn is_out_of_credit(&self, error: &ErrorFacts) -> bool;
}
