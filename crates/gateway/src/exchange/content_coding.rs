//! How the bodies of messages are compressed.

pub(crate) mod answer;
pub(crate) mod request;

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// Most bytes that one compressed byte is decoded to, over the whole body but for its first [`FREE_BYTES`].
pub(crate) const MOST_RATIO: u64 = 300;
const FREE_BYTES: u64 = 1 << 20;
/// Largest window of zstd that is held, as a power of two: what its format asks every decoder for.
const ZSTD_WINDOW_LOG: u32 = 23;
/// Most codings of one body, one over the other.
const MOST_CODINGS: usize = 4;

/// How a body is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Not at all.
    Plain,
    Gzip,
    Deflate,
    Brotli,
    Zstd,
    /// In a way, or in several, that can't be decoded here.
    Unknown,
}

impl Coding {
    /// That of an answer.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        match all_of(headers) {
            Some([coding, Self::Plain, ..]) => coding,
            _ => Self::Unknown,
        }
    }

    fn parse(name: &[u8]) -> Self {
        let names: &[(&[u8], Self)] = &[
            (b"", Self::Plain),
            (b"identity", Self::Plain),
            // Some servers say so where they mean "do not compress this on the way".
            (b"none", Self::Plain),
            (b"gzip", Self::Gzip),
            (b"x-gzip", Self::Gzip),
            (b"deflate", Self::Deflate),
            (b"br", Self::Brotli),
            (b"zstd", Self::Zstd),
        ];
        names
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known))
            .map_or(Self::Unknown, |(_, coding)| *coding)
    }
}

/// The codings of a body, in the order in which they were applied, and [`Coding::Plain`] behind them.
pub(crate) type Codings = [Coding; MOST_CODINGS];

/// Those of a body that is not compressed.
pub(crate) const PLAIN: Codings = [Coding::Plain; MOST_CODINGS];

/// The codings of a body; `None` where one is not known, or there are too many.
pub(crate) fn all_of(headers: &HeaderMap) -> Option<Codings> {
    let mut codings = PLAIN;
    let mut free = codings.iter_mut();
    for value in headers.get_all(CONTENT_ENCODING) {
        for name in value.as_bytes().split(|byte| *byte == b',') {
            match Coding::parse(name.trim_ascii()) {
                Coding::Plain => {}
                Coding::Unknown => return None,
                coding => *free.next()? = coding,
            }
        }
    }
    Some(codings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn all_codings_count_in_their_order() {
        for (values, codings) in [
            (&[][..], Some(&[][..])),
            (&["identity", ""], Some(&[])),
            (&["GZIP"], Some(&[Coding::Gzip])),
            (&["zstd, x-gzip"], Some(&[Coding::Zstd, Coding::Gzip])),
            (&["br", "none , deflate"], Some(&[Coding::Brotli, Coding::Deflate])),
            (&["gzip, compress"], None),
            (&["aws-chunked"], None),
            (&["gzip,gzip,gzip,gzip"], Some(&[Coding::Gzip; 4])),
            (&["gzip,gzip", "gzip,gzip,gzip"], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            let found =
                all_of(&headers).map(|found| found.into_iter().filter(|coding| *coding != Coding::Plain).collect());
            assert_eq!(found, codings.map(<[Coding]>::to_vec), "{values:?}");
        }
    }
}
