//! A stream cut into its events.

use super::{Boundary, Event, Ignored, LargeEvent, Stencil, bare_json, parse, without_mark};
use crate::limits::EVENT_BYTES;

/// Gives a stream's events, however its bytes are cut.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    boundary: Boundary,
    pub(super) carry: Vec<u8>,
    /// The event under way, where it is over the limit.
    large: Option<LargeEvent>,
    started: bool,
    /// Of the last event that was handed on and said nothing.
    stencil: Option<Stencil>,
    /// Of the model's text, in events that said nothing else.
    text_bytes: u64,
}

impl Splitter {
    /// Takes the next bytes and hands on every event that they complete, but for those that differ from an earlier one in
    /// nothing but what was said to be ignored of that.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut on_event: impl FnMut(&Event<'_>) -> Ignored) {
        while !bytes.is_empty() {
            if self.boundary.takes_lf(bytes) {
                bytes = &bytes[1..];
                continue;
            }
            if self.carry.is_empty()
                && self.large.is_none()
                && let Some(length) = self.fits(bytes)
            {
                bytes = &bytes[length..];
                continue;
            }
            let Some(end) = self.boundary.find_end(bytes) else {
                self.keep(bytes);
                return;
            };
            let (head, rest) = bytes.split_at(end);
            bytes = rest;
            if self.carry.is_empty() && self.large.is_none() && head.len() <= EVENT_BYTES {
                self.emit(head, &mut on_event);
            } else {
                self.keep(head);
                self.emit_carry(&mut on_event);
            }
        }
    }

    /// Hands on the last event where its blank line is missing.
    pub(crate) fn finish(&mut self, mut on_event: impl FnMut(&Event<'_>) -> Ignored) {
        self.emit_carry(&mut on_event);
    }

    /// Bytes of the model's text in the events that say nothing else.
    pub(crate) fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    /// Whether the bytes so far end inside an event.
    pub(crate) fn is_inside_event(&self) -> bool {
        self.large.is_some() || self.carry.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    /// Bytes held of the event under way.
    #[cfg(fuzzing)]
    pub(crate) fn held(&self) -> usize {
        self.carry.len()
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(large) = &mut self.large {
            large.push(bytes);
        } else if self.carry.len() + bytes.len() <= EVENT_BYTES {
            self.carry.extend_from_slice(bytes);
        } else {
            let mut carry = std::mem::take(&mut self.carry);
            // Its line of data may not have begun.
            let room = EVENT_BYTES - carry.len();
            carry.extend_from_slice(&bytes[..room]);
            let mut large = LargeEvent::new(if self.started { &carry } else { without_mark(&carry) });
            large.push(&bytes[room..]);
            self.large = Some(large);
        }
    }

    fn emit_carry(&mut self, on_event: &mut impl FnMut(&Event<'_>) -> Ignored) {
        if let Some(large) = self.large.take() {
            self.started = true;
            self.text_bytes += large.emit(on_event);
            return;
        }
        let mut carry = std::mem::take(&mut self.carry);
        let fit = self.stencil.as_ref().and_then(|stencil| stencil.fits_and_says(&carry));
        match fit.filter(|(length, _)| *length == carry.len()) {
            Some((_, said)) => self.text_bytes += said,
            None => self.emit(&carry, on_event),
        }
        // One large event must not cost its memory for the rest of the stream.
        if carry.capacity() <= 64 * 1024 {
            carry.clear();
            self.carry = carry;
        }
    }

    fn emit(&mut self, raw: &[u8], on_event: &mut impl FnMut(&Event<'_>) -> Ignored) {
        let raw = if std::mem::replace(&mut self.started, true) {
            raw
        } else {
            without_mark(raw)
        };
        if let Some(event) = parse(raw).or_else(|| bare_json(raw)) {
            let ignored = on_event(&event);
            self.text_bytes += ignored.text_bytes(&event.data);
            self.stencil = Stencil::new(raw, &event, ignored).or(self.stencil.take());
        }
    }

    fn fits(&mut self, bytes: &[u8]) -> Option<usize> {
        let (length, said) = self.stencil.as_ref()?.fits_and_says(bytes)?;
        self.text_bytes += said;
        Some(length)
    }
}
