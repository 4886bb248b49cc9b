//! The spellings that the same events can have on the wire.

use bytes::Bytes;

/// How events are written and cut into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// One frame for each event, lines ended by LF.
    Plain,
    /// Lines end in CR LF.
    CrLf,
    /// Lines end in CR.
    Cr,
    /// Data is spread over several `data:` lines, an empty one among them.
    Multiline,
    /// Comments between and within the events, and fields that nobody knows.
    Comments,
    /// A byte order mark comes first.
    Bom,
    /// No blank after the field's name, and blank lines behind the last event.
    Tight,
    /// A frame for every byte.
    EveryByte,
}

impl Spelling {
    pub(super) const ALL: [Self; 8] = [
        Self::Plain,
        Self::CrLf,
        Self::Cr,
        Self::Multiline,
        Self::Comments,
        Self::Bom,
        Self::Tight,
        Self::EveryByte,
    ];

    /// The events so spelled; `events` are in the plain spelling.
    pub(super) fn spell(self, events: &[String]) -> Vec<Bytes> {
        let mut spelled: Vec<String> = events.iter().map(|event| self.event(event)).collect();
        match (self, spelled.first_mut()) {
            (Self::Bom, Some(first)) => first.insert(0, '\u{feff}'),
            (Self::Comments, Some(first)) => first.insert_str(0, ": welcome\n\n"),
            _ => {}
        }
        spelled.into_iter().map(Bytes::from).collect()
    }

    /// Cuts into frames what belongs together.
    pub(super) fn frames(self, events: &[Bytes]) -> Vec<Bytes> {
        match self {
            Self::EveryByte => {
                let bytes = Bytes::from(events.concat());
                (0..bytes.len()).map(|at| bytes.slice(at..=at)).collect()
            }
            // Behind the last one, and an event of its own by the format's rules: one that says nothing.
            Self::Tight => [events, &[Bytes::from_static(b"\n\n\n")]].concat(),
            _ => events.to_vec(),
        }
    }

    fn event(self, event: &str) -> String {
        match self {
            Self::Plain | Self::Bom | Self::EveryByte => event.to_owned(),
            Self::CrLf => event.replace('\n', "\r\n"),
            Self::Cr => event.replace('\n', "\r"),
            Self::Multiline => several_lines(event),
            Self::Comments => format!(": keep-alive\nid: 7\nretry: 3000\nnobody: knows this\n{event}"),
            Self::Tight => event.replacen("event: ", "event:", 1).replacen("data: ", "data:", 1),
        }
    }
}

/// Breaks the line where JSON allows it: behind the first member, and before the last brace.
fn several_lines(event: &str) -> String {
    let Some((before, rest)) = event.split_once(",\"") else {
        return event.to_owned();
    };
    match rest.strip_suffix("}\n\n") {
        Some(rest) => format!("{before},\ndata: \ndata: \"{rest}\ndata:}}\n\n"),
        None => event.to_owned(),
    }
}
