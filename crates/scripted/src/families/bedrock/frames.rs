//! AWS's event stream, written by hand: what the gateway reads with the vendor's crate is measured against this.

use crate::json::quoted;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The frame of an event that stands as its name, a line end and its JSON. An exception's name ends in `Exception`.
pub(super) fn frame(event: &str) -> Vec<u8> {
    let (name, json) = event.split_once('\n').unwrap_or((event, "{}"));
    let (kind, of) = if name.ends_with("Exception") {
        ("exception", ":exception-type")
    } else {
        ("event", ":event-type")
    };
    let headers = [
        (of, name),
        (":content-type", "application/json"),
        (":message-type", kind),
    ];
    write(&headers, json.as_bytes())
}

/// The event of `InvokeModelWithResponseStream` that holds this JSON.
pub(super) fn chunk(json: &str, padding: &str) -> String {
    let bytes = STANDARD.encode(json);
    format!(r#"chunk{}{{"bytes":"{bytes}","p":{}}}"#, '\n', quoted(padding))
}

fn write(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    const STRING: u8 = 7;
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        block.extend_from_slice(name.as_bytes());
        block.push(STRING);
        block.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = Vec::with_capacity(16 + block.len() + payload.len());
    frame.extend_from_slice(&number(16 + block.len() + payload.len()));
    frame.extend_from_slice(&number(block.len()));
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(&block);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_of_the_format_comes_out() {
        // An empty message, and one with a payload and a header, from the test vectors of AWS's own libraries.
        assert_eq!(
            write(&[], b""),
            [
                0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff
            ]
        );
        let text = write(&[("content-type", "application/json")], b"{'foo':'bar'}");
        assert_eq!(text[..8], [0, 0, 0, 0x3d, 0, 0, 0, 0x20]);
        assert_eq!(text[8..12], [0x07, 0xfd, 0x83, 0x96]);
        assert_eq!(text[text.len() - 4..], [0x8d, 0x9c, 0x08, 0xb1]);
    }
}
