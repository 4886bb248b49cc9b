//! A text of a record, as it is or compressed: what users wrote, what tools were called with, what models thought.
//!
//! The data plane compresses what is long enough when it encodes a record. From there it is carried and kept as it is, and opened
//! where somebody reads it. Nobody vouches for a compressed text: it may be none, or open to more than anyone wants, so whoever opens it
//! says how much is wanted.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::Read as _;
use zstd::bulk::Compressor;
use zstd::stream::read::Decoder;

/// Shorter texts gain little, and stay as they are: a small request costs nothing.
const WORTH_BYTES: usize = 1024;
/// The fastest of the usual levels; the next ones take half as long again for some per cent.
const LEVEL: i32 = 1;
/// Largest window that is held while a text is opened, as a power of two: what the format asks every decoder for.
const WINDOW_LOG: u32 = 23;

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// A text of a record.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// As it is.
    Plain(String),
    /// Compressed with zstd.
    Zstd(Vec<u8>),
}

/// A content as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened<'c> {
    /// The text, or its beginning.
    pub text: Cow<'c, str>,
    /// Whether there is more of it: it is longer than was wanted, or the rest can't be opened.
    pub truncated: bool,
}

impl Content {
    /// Compressed, if that is worth it.
    pub fn compressed(self) -> Self {
        match self {
            Self::Plain(text) if text.len() >= WORTH_BYTES => match compress(text.as_bytes()) {
                Some(bytes) if bytes.len() <= text.len() / 8 * 7 => Self::Zstd(bytes),
                _ => Self::Plain(text),
            },
            as_it_is => as_it_is,
        }
    }

    /// The text, so many bytes of it at most. What can't be opened ends where that shows.
    pub fn open(&self, most_bytes: usize) -> Opened<'_> {
        match self {
            Self::Plain(text) => Opened {
                text: Cow::Borrowed(&text[..text.floor_char_boundary(most_bytes)]),
                truncated: text.len() > most_bytes,
            },
            Self::Zstd(bytes) => {
                let (text, truncated) = decompress(bytes, most_bytes);
                Opened {
                    text: Cow::Owned(text),
                    truncated,
                }
            }
        }
    }

    /// The bytes that it takes as it is.
    pub fn held_bytes(&self) -> usize {
        match self {
            Self::Plain(text) => text.len(),
            Self::Zstd(bytes) => bytes.len(),
        }
    }
}

fn compress(text: &[u8]) -> Option<Vec<u8>> {
    let compressed = COMPRESSOR.try_with(|kept| {
        let mut kept = kept.try_borrow_mut().ok()?;
        if kept.is_none() {
            *kept = Compressor::new(LEVEL).ok();
        }
        let mut bytes = kept.as_mut()?.compress(text).ok()?;
        bytes.shrink_to_fit();
        Some(bytes)
    });
    // A record may be written while its thread ends, and what the thread kept is gone by then.
    compressed.ok().flatten()
}

/// The text or its beginning, and whether there is more of it.
fn decompress(bytes: &[u8], most_bytes: usize) -> (String, bool) {
    let mut text = Vec::new();
    let mut truncated = true;
    if let Ok(mut decoder) = Decoder::with_buffer(bytes)
        && decoder.window_log_max(WINDOW_LOG).is_ok()
    {
        // One more tells whether there is more. What was read before an error is kept.
        let most = u64::try_from(most_bytes).unwrap_or(u64::MAX).saturating_add(1);
        truncated = decoder.take(most).read_to_end(&mut text).is_err() || text.len() > most_bytes;
        text.truncate(most_bytes);
    }
    let whole = match std::str::from_utf8(&text) {
        // Cut within a character.
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => text.len(),
    };
    text.truncate(whole);
    let text = String::from_utf8(text).unwrap_or_else(|error| {
        let mut text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        // What stands for a bad byte has three.
        truncated |= text.len() > most_bytes;
        text.truncate(text.floor_char_boundary(most_bytes));
        text
    });
    (text, truncated)
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

/// Shows no text: it may be in a log.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let form = match self {
            Self::Plain(_) => "plain",
            Self::Zstd(_) => "zstd",
        };
        write!(f, "Content({form}, {} bytes)", self.held_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Opened<'_> {
        let (text, truncated) = (text.into(), false);
        Opened { text, truncated }
    }

    fn part(text: &str) -> Opened<'_> {
        let (text, truncated) = (text.into(), true);
        Opened { text, truncated }
    }

    #[test]
    fn long_texts_are_compressed_and_come_back_whole() {
        for text in ["", "short", &"é".repeat(511), &"The quick brown fox. ".repeat(2000)] {
            let content = Content::from(text).compressed();
            assert_eq!(matches!(content, Content::Zstd(_)), text.len() >= WORTH_BYTES);
            assert_eq!(content.open(usize::MAX), whole(text));
            assert!(content.held_bytes() <= text.len());
            assert_eq!(content.clone().compressed(), content, "once");
        }
    }

    /// Found by review: it panicked, and a panic there ends the process.
    #[test]
    fn while_its_thread_ends_a_text_stays_as_it_is() {
        struct Last(RefCell<Option<std::sync::mpsc::Sender<Content>>>);
        impl Drop for Last {
            fn drop(&mut self) {
                if let Some(sender) = self.0.take() {
                    let _ = sender.send(Content::from("x".repeat(2000)).compressed());
                }
            }
        }
        thread_local! {
            static LAST: Last = const { Last(RefCell::new(None)) };
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            LAST.with(|last| last.0.replace(Some(sender)));
            // From now on there is a compressor, which goes before the other does.
            Content::from("x".repeat(2000)).compressed()
        });
        assert!(matches!(thread.join().unwrap(), Content::Zstd(_)));
        assert_eq!(receiver.recv().unwrap(), Content::from("x".repeat(2000)));
    }

    #[test]
    fn what_does_not_shrink_stays_as_it_is() {
        let mut state = 1u64;
        let noise: String = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from((state >> 57) as u8)
        })
        .take(2000)
        .collect();
        assert_eq!(Content::from(&*noise).compressed(), Content::Plain(noise));
    }

    #[test]
    fn no_more_is_opened_than_is_wanted() {
        let long = Content::from("é".repeat(40_000));
        for content in [long.clone(), long.clone().compressed()] {
            assert_eq!(content.open(5), part("éé"));
            assert_eq!(content.open(0), part(""));
            assert_eq!(content.open(79_999), part(&"é".repeat(39_999)));
            assert_eq!(content.open(80_000), whole(&"é".repeat(40_000)));
        }
        assert_eq!(
            long.compressed().held_bytes() / 100,
            0,
            "far smaller than what it opens to"
        );
    }

    #[test]
    fn what_is_no_compressed_text_does_no_harm() {
        let Content::Zstd(mut bytes) = Content::from("A line of text. ".repeat(500)).compressed() else {
            panic!("it is long enough");
        };
        bytes.truncate(bytes.len() - 4);
        let cut = Content::Zstd(bytes);
        let opened = cut.open(usize::MAX);
        assert!(opened.truncated && "A line of text. ".repeat(500).starts_with(&*opened.text));
        for odd in [&b"no zstd at all"[..], &[0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff]] {
            assert_eq!(Content::Zstd(odd.to_vec()).open(usize::MAX), part(""));
        }
        assert_eq!(Content::Zstd(Vec::new()).open(usize::MAX).text, "");
        let binary = Content::Zstd(compress(&[0xff, b'a', 0xfe]).unwrap());
        assert_eq!(binary.open(usize::MAX), whole("\u{fffd}a\u{fffd}"));
        assert_eq!(binary.open(4), part("\u{fffd}a"));
    }
}
