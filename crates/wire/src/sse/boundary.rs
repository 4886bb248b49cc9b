//! Where events end.

use super::MARK;
use memchr::memchr2;

/// Finds the blank lines between events, for lines that end in LF, CRLF or CR.
///
/// A blank line ended by CR ends the event at once. An LF that follows belongs to neither that event nor the next, so that
/// their lengths do not depend on the cuts: [`Self::takes_lf`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Boundary {
    /// Bytes of the stream's byte order mark seen so far; all of them once it is known that there is none.
    mark: usize,
    line_is_blank: bool,
    after_cr: bool,
    owes_lf: bool,
}

impl Default for Boundary {
    fn default() -> Self {
        Self {
            mark: 0,
            line_is_blank: true,
            after_cr: false,
            owes_lf: false,
        }
    }
}

impl Boundary {
    /// Length of the start of `bytes` that completes the event; `None` when it goes on after them.
    pub(crate) fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while self.mark < MARK.len() && at < bytes.len() {
            if bytes[at] == MARK[self.mark] {
                self.mark += 1;
                at += 1;
            } else {
                self.line_is_blank = self.mark == 0;
                self.mark = MARK.len();
            }
        }
        while at < bytes.len() {
            if std::mem::take(&mut self.after_cr) && bytes[at] == b'\n' {
                at += 1;
                continue;
            }
            let Some(length) = memchr2(b'\n', b'\r', &bytes[at..]) else {
                self.line_is_blank = false;
                return None;
            };
            let blank = self.line_is_blank && length == 0;
            let ends_in_cr = bytes[at + length] == b'\r';
            self.line_is_blank = true;
            at += length + 1;
            if blank {
                self.owes_lf = ends_in_cr;
                return Some(at);
            }
            self.after_cr = ends_in_cr;
        }
        None
    }

    /// Whether `bytes`, which come next and are not empty, begin with the LF of the last event's CRLF.
    pub(crate) fn takes_lf(&mut self, bytes: &[u8]) -> bool {
        std::mem::take(&mut self.owes_lf) && bytes.starts_with(b"\n")
    }
}
