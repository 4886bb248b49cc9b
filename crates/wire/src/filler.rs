//! What keeps a silent stream alive without saying anything, and where in the stream it may stand.
//!
//! Not here: when it is due (crates `stream` and `gateway`), and what each API's clients pass over (`providers`).

use crate::frames;
use crate::providers;
use lychgate_types::provider::Api;

/// What may stand between two events of this API's streams for this client, a name of [`crate::client`]'s table. `None` where
/// there is nothing that its clients pass over.
pub fn filler(api: Api, client: &str) -> Option<Filler> {
    let format = providers::api(api);
    let place = match (format.is_framed(), format.streams_as_list()) {
        (true, _) => Place::Frames(frames::Position::default()),
        (false, true) => Place::Pieces(Position::default()),
        (false, false) => Place::Events(Position::default()),
    };
    format.filler(client).map(|bytes| Filler { bytes, place })
}

/// A stream's filler, and where the stream stands by the bytes that were sent of it, however they were cut.
#[derive(Debug)]
pub struct Filler {
    bytes: &'static [u8],
    place: Place,
}

#[derive(Debug)]
enum Place {
    Events(Position),
    Frames(frames::Position),
    /// Events whose filler is an empty one, or the elements of a list.
    Pieces(Position),
    /// The elements of a list, if it is one.
    Elements(Position),
}

impl Filler {
    /// The same for an answer that does not say to be a stream, but may be one that is a list.
    pub fn in_list(self) -> Option<Self> {
        match self.place {
            Place::Pieces(position) => Some(Self {
                place: Place::Elements(position),
                ..self
            }),
            _ => None,
        }
    }

    /// These bytes were sent.
    pub fn sent(&mut self, bytes: &[u8]) {
        match &mut self.place {
            Place::Events(position) | Place::Pieces(position) | Place::Elements(position) => position.sent(bytes),
            Place::Frames(position) => position.sent(bytes),
        }
    }

    /// The filler, where it may stand behind what was sent. Where that is a list, it may not within an element, which its reader
    /// knows ([`crate::ResponseReader::takes_filler`]).
    pub fn here(&self) -> Option<&'static [u8]> {
        match &self.place {
            Place::Events(position) => position.is_between_events().then_some(self.bytes),
            Place::Frames(position) => position.is_between_frames().then_some(self.bytes),
            Place::Pieces(position) => position.space().or_else(|| position.empty_event(self.bytes)),
            Place::Elements(position) => position.space(),
        }
    }
}

/// Where a stream of server-sent events stands.
#[derive(Debug, Clone, Copy)]
struct Position {
    /// The last bytes. A stream begins as if blank lines went before it.
    last: [u8; 3],
    /// The first byte that is no white space: it tells JSON from events.
    first: Option<u8>,
}

impl Default for Position {
    fn default() -> Self {
        Self {
            last: [b'\n'; 3],
            first: None,
        }
    }
}

impl Position {
    fn sent(&mut self, bytes: &[u8]) {
        if self.first.is_none() {
            self.first = bytes.trim_ascii_start().first().copied();
        }
        let kept = bytes.len().min(self.last.len());
        self.last.rotate_left(kept);
        let place = self.last.len() - kept;
        self.last[place..].copy_from_slice(&bytes[bytes.len() - kept..]);
    }

    /// Whether an event, and the blank line that ends it, were sent whole. That is not known behind a CR, since its LF may be still
    /// to come.
    fn is_between_events(&self) -> bool {
        let blank_line = matches!(self.last, [_, b'\n', b'\n'] | [b'\n' | b'\r', b'\r', b'\n']);
        blank_line && !matches!(self.first, Some(b'{' | b'['))
    }

    /// An empty event, in the line ends of the stream: clients look for one kind of blank line before the other, and would take two
    /// events for one. While the stream's own is not known, it is the one that is usual.
    fn empty_event(&self, usual: &'static [u8]) -> Option<&'static [u8]> {
        let ends_in_lf = self.first.is_some() && matches!(self.last, [_, b'\n', b'\n']);
        self.is_between_events()
            .then_some(if ends_in_lf { b"\n\n" } else { usual })
    }

    /// White space in a list, but not within a number or a word.
    fn space(&self) -> Option<&'static [u8]> {
        let [.., last] = self.last;
        let may_stand = matches!(last, b'[' | b',' | b'}' | b']') || last.is_ascii_whitespace();
        (self.first == Some(b'[') && may_stand).then_some(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::CODEX;
    use crate::testing::event_frame;
    use crate::{ReaderOptions, ResponseReader};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    fn places(stream: &str) -> Vec<usize> {
        let mut results = (1..=stream.len()).map(|size| {
            let mut position = Position::default();
            let mut at = 0;
            let mut found = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                position.sent(piece);
                at += piece.len();
                found.extend(position.is_between_events().then_some(at));
            }
            (size, found)
        });
        let (_, single) = results.next().unwrap();
        for (size, found) in results {
            let wanted = |at: &usize| at.is_multiple_of(size) || *at == stream.len();
            assert_eq!(
                found,
                single.iter().copied().filter(wanted).collect::<Vec<_>>(),
                "{size}"
            );
        }
        single
    }

    #[test]
    fn an_event_ends_with_its_blank_line() {
        assert!(Position::default().is_between_events(), "before the first byte");
        for (stream, wanted) in [
            ("data: 1\n\ndata: 2\n\n", vec![9, 18]),
            ("event: a\ndata: 1\n\n", vec![18]),
            ("data: 1\r\n\r\ndata: 2\r\n\r\n", vec![11, 22]),
            // It is not known whether an LF follows.
            ("data: 1\r\rdata: 2\r\r", vec![]),
            ("data: 1\r\r\n", vec![10]),
            ("data: 1\n\r\n", vec![10]),
            ("data: 1\r\n\n", vec![10]),
            ("\n\r\ndata", vec![1, 3]),
            (": comment\n", vec![]),
            (": comment\n\n", vec![11]),
            ("\u{feff}data: 1\n\n", vec![12]),
            ("data: 1\\n\\n", vec![]),
            ("{\"a\":1}\n\n", vec![]),
            (" [\n\n", vec![]),
        ] {
            assert_eq!(places(stream), wanted, "{stream:?}");
        }
    }

    #[test]
    fn an_empty_one_has_the_spelling_of_its_stream() {
        let placed = |is_named: bool, sent: &str| {
            let filler = filler(Api::GeminiGenerateContent, "").unwrap();
            let mut filler = if is_named { filler } else { filler.in_list().unwrap() };
            filler.sent(sent.as_bytes());
            filler.here()
        };
        for (sent, wanted) in [
            ("", Some("\r\n\r\n")),
            ("data: 1\r\n\r\n", Some("\r\n\r\n")),
            ("data: 1\n\n", Some("\n\n")),
            ("data: 1\r\n", None),
            ("data: 1\r\r", None),
            ("data: 1", None),
        ] {
            assert_eq!(placed(true, sent), wanted.map(str::as_bytes), "{sent:?}");
            assert_eq!(placed(false, sent), None, "{sent:?}");
        }
        for (sent, may_stand) in [
            ("[", true),
            ("[{\"a\":1}", true),
            ("[{}\r\n,\r\n", true),
            ("[1", false),
            ("[true", false),
            ("{", false),
            ("{\"a\":1}\n\n", false),
        ] {
            for is_named in [true, false] {
                assert_eq!(placed(is_named, sent).is_some(), may_stand, "{sent:?}");
            }
        }
        assert!(filler(Api::OpenAiChatCompletions, "").unwrap().in_list().is_none());
    }

    #[test]
    fn each_api_has_one_that_says_nothing() {
        for (api, client, wanted) in [
            (
                Api::AnthropicMessages,
                "Claude Code",
                Some("event: ping\ndata: {\"type\": \"ping\"}\n\n"),
            ),
            (Api::OpenAiChatCompletions, CODEX, Some(": keep-alive\n")),
            (Api::OpenAiCompletions, "", Some(": keep-alive\n")),
            (Api::OpenAiImages, "", Some(": keep-alive\n")),
            (Api::OpenAiAudio, "", Some(": keep-alive\n")),
            (Api::OpenAiResponses, "", Some(": keep-alive\n")),
            (
                Api::OpenAiResponses,
                CODEX,
                Some("event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n"),
            ),
            (Api::GeminiGenerateContent, "", Some("\r\n\r\n")),
            (Api::GeminiEmbeddings, "", None),
            (Api::OpenAiEmbeddings, "", None),
            (Api::OpenAiObjects, CODEX, None),
            (Api::AnthropicObjects, "", None),
            (Api::BedrockConverse, "", None),
        ] {
            let found = filler(api, client).and_then(|filler| filler.here());
            assert_eq!(found, wanted.map(str::as_bytes), "{api} {client}");
            let Some(filler) = found else { continue };
            let options = ReaderOptions { capture_content: true };
            let mut reader = ResponseReader::new(api, true, options);
            reader.push(&filler.repeat(2));
            assert!(!reader.is_over() && reader.text_bytes() == 0, "{api}");
        }
    }

    #[test]
    fn claudes_frames_have_one_that_stands_between_them() {
        let ping = event_frame("chunk", r#"{"bytes":"eyJ0eXBlIjogInBpbmcifQ=="}"#);
        let stream = [&event_frame("chunk", r#"{"bytes":"e30="}"#)[..], &ping].concat();
        let ends = [stream.len() - ping.len(), stream.len()];
        for size in 1..=stream.len() {
            let mut filler = filler(Api::BedrockInvoke, "").unwrap();
            let mut at = 0;
            for piece in stream.chunks(size) {
                filler.sent(piece);
                at += piece.len();
                assert_eq!(filler.here(), ends.contains(&at).then_some(&ping[..]), "{at}");
            }
        }
        let mut damaged = stream;
        damaged[3] ^= 1;
        let mut filler = filler(Api::BedrockInvoke, "").unwrap();
        filler.sent(&damaged);
        assert_eq!(filler.here(), None, "nobody reads on behind damage");
    }

    #[test]
    fn only_claudes_clients_bear_the_ping_of_invoke() {
        let chunk = |json: &str| event_frame("chunk", &format!(r#"{{"bytes":"{}"}}"#, STANDARD.encode(json)));
        for (json, takes) in [
            (r#"{"type":"message_start","message":{"id":"m"}}"#, true),
            (r#"{"messageStart":{"role":"assistant"}}"#, false),
            (r#"{"contentBlockDelta":{"delta":{"text":"Hi"}}}"#, false),
            (r#"{"generation":"Hi"}"#, false),
        ] {
            let mut reader = ResponseReader::new(Api::BedrockInvoke, true, ReaderOptions { capture_content: true });
            assert!(!reader.takes_filler(), "whose answer it is is not known yet");
            reader.push(&chunk(json));
            assert_eq!(reader.takes_filler(), takes, "{json}");
            reader.push(&chunk(r#"{"type":"message_stop"}"#));
            assert!(!takes || !reader.takes_filler(), "the stream is over");
        }
    }

    #[test]
    fn a_stream_is_over_with_its_last_event_or_an_error() {
        let error = |api| String::from_utf8(crate::error::stream_event(api, 500, "It broke")).unwrap();
        for (api, last) in [
            (
                Api::AnthropicMessages,
                "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".to_owned(),
            ),
            (Api::AnthropicMessages, error(Api::AnthropicMessages)),
            (Api::OpenAiChatCompletions, "data: [DONE]\n\n".to_owned()),
            (
                Api::OpenAiChatCompletions,
                "data: {\"error\":{\"message\":\"It broke\",\"type\":\"server_error\"}}\n\n".to_owned(),
            ),
            (
                Api::OpenAiResponses,
                "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\"}}\n\n"
                    .to_owned(),
            ),
            (Api::OpenAiResponses, error(Api::OpenAiResponses)),
            (
                Api::OpenAiImages,
                "data: {\"type\":\"image_generation.completed\"}\n\n".to_owned(),
            ),
            (Api::OpenAiImages, error(Api::OpenAiImages)),
            (
                Api::GeminiGenerateContent,
                "data: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":1}}\r\n\r\n"
                    .to_owned(),
            ),
            (
                Api::GeminiGenerateContent,
                "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"usageMetadata\":{\"promptTokenCount\":1}}\n\n"
                    .to_owned(),
            ),
            // Bare, as Google writes them: alone it would be no stream.
            (
                Api::GeminiGenerateContent,
                format!("data: {{}}\r\n\r\n{}", error(Api::GeminiGenerateContent)),
            ),
        ] {
            let options = ReaderOptions { capture_content: true };
            let mut reader = ResponseReader::new(api, true, options);
            assert!(!reader.is_over());
            reader.push(last.as_bytes());
            assert!(reader.is_over(), "{api}: {last}");
        }
    }
}
