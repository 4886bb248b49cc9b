//! AWS's frames, written by hand.

/// A stream that has each line of the input as an event: its name up to a blank, behind that the payload.
pub fn lines_as_frames(input: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    for line in input.split(|byte| *byte == b'\n') {
        let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len()).min(100);
        let (name, payload) = line.split_at(end);
        let headers = [header(b":message-type", b"event"), header(b":event-type", name)].concat();
        stream.extend_from_slice(&frame(&headers, payload));
    }
    stream
}

fn header(name: &[u8], value: &[u8]) -> Vec<u8> {
    let length = (value.len() as u16).to_be_bytes();
    [&[name.len() as u8], name, &[7], &length, value].concat()
}

fn frame(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut frame = ((16 + headers.len() + payload.len()) as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(&(headers.len() as u32).to_be_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(headers);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}
