//! Headers for another attempt, which is rare: packed into one allocation, at half the cost of a copy of the map.

use super::StrippedHeaders;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers as text, each after the lengths of its name and its value.
#[derive(Debug)]
pub(crate) struct PackedHeaders {
    text: Vec<u8>,
    count: usize,
}

const LENGTH: usize = size_of::<u32>();

impl PackedHeaders {
    pub(crate) fn new(headers: &StrippedHeaders) -> Self {
        let StrippedHeaders(headers) = headers;
        let size = headers
            .iter()
            .map(|(name, value)| 2 * LENGTH + name.as_str().len() + value.len())
            .sum();
        let mut text = Vec::with_capacity(size);
        for (name, value) in headers {
            let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
            // The server limits heads to far less than 32 bits can count.
            text.extend_from_slice(&(name.len() as u32).to_ne_bytes());
            text.extend_from_slice(&(value.len() as u32).to_ne_bytes());
            text.extend_from_slice(name);
            text.extend_from_slice(value);
        }
        Self {
            text,
            count: headers.len(),
        }
    }

    /// The headers as they were, in their order.
    pub(crate) fn unpack(&self) -> StrippedHeaders {
        let mut headers = HeaderMap::with_capacity(self.count);
        let mut rest = Bytes::copy_from_slice(&self.text);
        while !rest.is_empty() {
            let (name, value) = (length(&mut rest), length(&mut rest));
            let name = HeaderName::from_bytes(&rest.split_to(name.min(rest.len())));
            let value = HeaderValue::from_maybe_shared(rest.split_to(value.min(rest.len())));
            // Both came out of a map.
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.append(name, value);
            }
        }
        StrippedHeaders(headers)
    }
}

fn length(rest: &mut Bytes) -> usize {
    let bytes = rest.split_to(LENGTH.min(rest.len()));
    bytes
        .as_ref()
        .try_into()
        .map_or(0, |bytes| u32::from_ne_bytes(bytes) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lychgate_types::interception::CredentialKind;

    #[test]
    fn headers_come_out_as_they_went_in() {
        let empty = PackedHeaders::new(&StrippedHeaders::default()).unpack();
        assert_eq!(empty.0, HeaderMap::new());
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("anthropic-beta", &b"a"[..]),
            ("x-empty", b""),
            ("anthropic-beta", b"b"),
            ("content-type", b"application/json"),
            ("x-latin", b"caf\xe9"),
        ] {
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let stripped = StrippedHeaders::of_unrecorded(headers, CredentialKind::Byok);
        let StrippedHeaders(unpacked) = PackedHeaders::new(&stripped).unpack();
        assert_eq!(unpacked, stripped.0);
        let order = |map: &HeaderMap| map.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(order(&unpacked), order(&stripped.0));
    }
}
