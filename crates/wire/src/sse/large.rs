//! An event that is too large to be held whole.

use super::{Event, Ignored, parse};
use crate::json::abridged::Abridged;

/// The rest of its data is abridged while it comes. That has to stand in one line: no server is known to break such data up.
#[derive(Debug)]
pub(crate) struct LargeEvent {
    name: Vec<u8>,
    data: Abridged,
    /// The line of data has not ended.
    in_data: bool,
}

impl LargeEvent {
    /// The event that begins with these bytes.
    pub(crate) fn new(beginning: &[u8]) -> Self {
        let mut data = Abridged::default();
        let line = beginning.rsplit(|byte| matches!(byte, b'\n' | b'\r')).next();
        let event = parse(beginning);
        if let Some(event) = &event {
            data.push(&event.data);
        }
        Self {
            name: event.map(|event| event.name.to_vec()).unwrap_or_default(),
            data,
            in_data: line.is_some_and(|line| line.starts_with(b"data:")),
        }
    }

    /// Takes the next bytes of it.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.in_data {
            let end = memchr::memchr2(b'\n', b'\r', bytes);
            self.data.push(&bytes[..end.unwrap_or(bytes.len())]);
            self.in_data = end.is_none();
        }
    }

    /// Hands it on; of how much text it told.
    pub(crate) fn emit(self, on_event: &mut impl FnMut(&Event<'_>) -> Ignored) -> u64 {
        let data = self.data.into_bytes();
        if data.is_empty() {
            return 0;
        }
        let event = Event {
            name: &self.name,
            data: data.into(),
        };
        on_event(&event).text_bytes(&event.data)
    }
}
