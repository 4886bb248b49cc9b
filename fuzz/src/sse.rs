//! Server-sent events read line by line over the whole stream: slow, and plain enough to be believed.

use lychgate_wire::limits::EVENT_BYTES;

const MARK: &[u8] = b"\xef\xbb\xbf";

/// One event with its blank line, as it is in the stream.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// All its bytes, those of the stream's byte order mark too.
    pub bytes: &'a [u8],
    /// The blank line is there; only a stream's last event may lack it.
    pub whole: bool,
    /// It is the stream's first.
    pub first: bool,
}

impl<'a> Span<'a> {
    /// Its bytes less the LF of a blank line that ends in CRLF: that line was over with its CR.
    pub fn length(&self) -> usize {
        self.bytes.len() - usize::from(self.whole && self.bytes.ends_with(b"\r\n"))
    }

    /// Name and data; `None` where there is no data.
    pub fn event(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let bytes = self.bytes;
        let bytes = bytes.strip_prefix(MARK).filter(|_| self.first).unwrap_or(bytes);
        let (mut name, mut data) = (Vec::new(), Vec::new());
        for line in lines(bytes).into_iter().map(|line| line.text) {
            let colon = line.iter().position(|byte| *byte == b':');
            let (field, value) = line.split_at(colon.unwrap_or(line.len()));
            let value = value.strip_prefix(b":").unwrap_or(value);
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match field {
                b"event" => name = value.to_vec(),
                b"data" => data.push(value),
                _ => {}
            }
        }
        let data = data.join(b"\n".as_slice());
        (!data.is_empty()).then_some((name, data))
    }
}

/// The stream cut after each blank line. All bytes are in one of the spans.
pub fn spans(stream: &[u8]) -> Vec<Span<'_>> {
    let mut spans = Vec::new();
    let (mut start, mut end) = (0, 0);
    for (index, line) in lines(stream).into_iter().enumerate() {
        end += line.bytes;
        let text = line.text.strip_prefix(MARK).filter(|_| index == 0).unwrap_or(line.text);
        if text.is_empty() && line.ended {
            spans.push(Span {
                bytes: &stream[start..end],
                whole: true,
                first: start == 0,
            });
            start = end;
        }
    }
    if start < stream.len() {
        spans.push(Span {
            bytes: &stream[start..],
            whole: false,
            first: start == 0,
        });
    }
    spans
}

/// Name and data of every event that the reader is to see: those without data and those over the limit are not.
pub fn events(stream: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let spans = spans(stream).into_iter().filter(|span| span.length() <= EVENT_BYTES);
    spans.filter_map(|span| span.event()).collect()
}

/// A stream that has each line of the input as the data of an event, named by its `type` as Anthropic's and Responses' are.
pub fn lines_as_events(input: &[u8]) -> Vec<u8> {
    let mut stream = Vec::with_capacity(input.len() + 64);
    for line in input.split(|byte| *byte == b'\n') {
        let value = crate::json::value(line);
        if let Some(name) = value
            .as_ref()
            .and_then(|value| value["type"].as_str())
            .filter(|name| !name.contains(['\r', '\n']))
        {
            stream.extend_from_slice(format!("event: {name}\n").as_bytes());
        }
        stream.extend_from_slice(&[b"data: ", line, b"\n\n"].concat());
    }
    stream
}

/// The same stream with a comment at the start of each event, no two alike: it says the same, and no event's bytes are like
/// another's. `None` where an event would be over the limit with it and is not without.
pub fn unlike(stream: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(stream.len() + 64);
    for (number, span) in spans(stream).into_iter().enumerate() {
        let comment = format!(":{number}\n");
        if (EVENT_BYTES - comment.len() + 1..=EVENT_BYTES).contains(&span.length()) {
            return None;
        }
        let mark = span.bytes.strip_prefix(MARK).filter(|_| span.first);
        let (mark, rest) = span.bytes.split_at(mark.map_or(0, |_| MARK.len()));
        out.extend_from_slice(&[mark, comment.as_bytes(), rest].concat());
    }
    Some(out)
}

struct Line<'a> {
    text: &'a [u8],
    /// Length with its line end.
    bytes: usize,
    /// The line end is there.
    ended: bool,
}

fn lines(mut bytes: &[u8]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let length = bytes
            .iter()
            .position(|byte| matches!(byte, b'\r' | b'\n'))
            .unwrap_or(bytes.len());
        let (text, rest) = bytes.split_at(length);
        let line_end = match rest {
            [b'\r', b'\n', ..] => 2,
            [_, ..] => 1,
            [] => 0,
        };
        lines.push(Line {
            text,
            bytes: length + line_end,
            ended: line_end > 0,
        });
        bytes = &rest[line_end..];
    }
    lines
}
