//! Captured text, cut where its budget ends.

use crate::limits::{ANSWER_CONTENT_BYTES, CUT_MARK, NAME_BYTES};
use std::borrow::Cow;

/// What one answer may still keep of tool arguments and thoughts.
#[derive(Debug)]
pub(crate) struct Capture {
    on: bool,
    left: usize,
}

impl Capture {
    /// A full budget; with `on` false nothing is ever kept.
    pub(crate) fn new(on: bool) -> Self {
        Self {
            on,
            left: ANSWER_CONTENT_BYTES,
        }
    }

    /// Whether content is kept at all.
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Adds text, as much of it as the budget has room for.
    pub(crate) fn append(&mut self, to: &mut Captured, text: &str) {
        if !self.on || to.cut || text.is_empty() {
            return;
        }
        let fits = head(text, self.left);
        self.left -= fits.len();
        to.text.push_str(fits);
        if fits.len() < text.len() {
            to.text.push_str(CUT_MARK);
            to.cut = true;
            self.left = 0;
        }
    }

    /// New text from this budget.
    pub(crate) fn take(&mut self, text: &str) -> Captured {
        let mut captured = Captured::default();
        self.append(&mut captured, text);
        captured
    }
}

/// Text that grows piece by piece within a [`Capture`].
#[derive(Debug, Default)]
pub(crate) struct Captured {
    text: String,
    cut: bool,
}

impl Captured {
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn into_string(self) -> String {
        self.text
    }
}

/// The text, or as much of it as `limit` bytes hold, marked as cut.
pub(crate) fn clipped(text: Cow<'_, str>, limit: usize) -> String {
    if text.len() <= limit {
        return text.into_owned();
    }
    let mut cut = head(&text, limit).to_owned();
    cut.push_str(CUT_MARK);
    cut
}

/// The parts of a text, joined by newlines, as much of them as `limit` bytes hold; `None` where nothing is in them.
pub(crate) fn joined<'a>(parts: impl IntoIterator<Item = Cow<'a, str>>, limit: usize) -> Option<String> {
    let mut text = String::new();
    for part in parts {
        if text.len() > limit {
            break;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&part);
    }
    (!text.is_empty()).then(|| clipped(Cow::Owned(text), limit))
}

/// A name or id given by a provider or client.
pub(crate) fn name(text: Cow<'_, str>) -> String {
    clipped(text, NAME_BYTES)
}

/// The longest start of `text` that is no longer than `limit` bytes and ends between two characters.
fn head(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters_and_marked_once() {
        let mut capture = Capture { on: true, left: 5 };
        let mut text = capture.take("abc");
        capture.append(&mut text, "dé");
        capture.append(&mut text, "more");
        assert_eq!(text.into_string(), format!("abcd{CUT_MARK}"));
        assert_eq!(capture.take("later").into_string(), CUT_MARK);
    }

    #[test]
    fn nothing_is_kept_with_capture_off() {
        assert!(Capture::new(false).take("secret").is_empty());
    }

    #[test]
    fn names_are_clipped() {
        assert_eq!(name(Cow::Borrowed("gpt")), "gpt");
        assert_eq!(
            name(Cow::Owned("é".repeat(300))),
            format!("{}{CUT_MARK}", "é".repeat(256))
        );
    }
}
