//! A URL's path as servers may come to read it.

/// The path with its percent escapes decoded once.
pub fn decoded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, after @ ..] = rest {
        let hex = |digit: u8| char::from(digit).to_digit(16);
        rest = after;
        match (byte, after) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                out.push((hex(*high).unwrap_or(0) * 16 + hex(*low).unwrap_or(0)) as u8);
                rest = after;
            }
            _ => out.push(*byte),
        }
    }
    out
}

/// The path with its dots resolved, either slash being one.
pub fn normal(path: &[u8]) -> String {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| matches!(byte, b'/' | b'\\')).skip(1) {
        match segment {
            b"." => {}
            b".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    kept.iter()
        .map(|segment| format!("/{}", String::from_utf8_lossy(segment)))
        .collect()
}
