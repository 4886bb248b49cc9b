//! How many tokens a text is, where the provider never says: by its length, and what a family of models makes of it.
//!
//! Not here: when an estimate is wanted (the gateway's recorder decides), and any tokenizer.

use memchr::memchr2;

/// Tenths of a byte that one token stands for, by how the names of a family's models begin, after any `vendor/`. Measured over
/// prose in several languages, code and JSON: lengths in bytes, unlike those in characters, hold for other scripts too.
const FAMILIES: &[(&str, u64)] = &[
    ("claude", 34),
    ("gpt", 40),
    ("chatgpt", 40),
    ("o1", 40),
    ("o3", 40),
    ("o4", 40),
    ("codex", 40),
];
/// Of any other model.
const OTHERS: u64 = 38;

/// Strings that are longer than this and have no white space at their beginning are files, not text.
const WORD_BYTES: usize = 1024;
/// What a picture or another file costs, about, in bytes of text.
pub(crate) const FILE_BYTES: u64 = 4_000;

/// Members whose text is the API's own and no part of what the model reads or writes.
pub(crate) const FRAME: &[&[u8]] = &[
    b"type",
    b"role",
    b"id",
    b"call_id",
    b"tool_call_id",
    b"tool_use_id",
    b"model",
    b"signature",
    b"thoughtSignature",
    b"mimeType",
    b"encrypted_content",
    b"user_id",
];
/// Members that only hold others.
const HOLDERS: &[&[u8]] = &[
    b"content",
    b"contents",
    b"parts",
    b"text",
    b"messages",
    b"input",
    b"cache_control",
    b"stream",
];

/// The tokens that so many bytes of text are to a model of this name.
pub fn tokens(model: &str, text_bytes: u64) -> i64 {
    let name = model.rsplit('/').next().unwrap_or(model);
    let family = FAMILIES.iter().find(|(family, _)| name.starts_with(family));
    let tenths = family.map_or(OTHERS, |(_, tenths)| *tenths);
    i64::try_from(text_bytes.saturating_mul(10).div_ceil(tenths)).unwrap_or(i64::MAX)
}

/// Bytes of text in a JSON document: its strings, decoded, but for what belongs to the API's frame. The document need not be
/// well-formed.
pub(crate) fn text_bytes(json: &[u8]) -> u64 {
    let (mut text, mut rest) = (Text::default(), json);
    while let Some(start) = memchr::memchr(b'"', rest) {
        if !rest[..start]
            .iter()
            .all(|byte| *byte == b':' || byte.is_ascii_whitespace())
        {
            text.other();
        }
        rest = &rest[start + 1..];
        let Some(length) = string_length(rest) else { break };
        let string = &rest[..length];
        rest = &rest[length + 1..];
        text.string(string, rest.trim_ascii_start().first() == Some(&b':'));
    }
    text.bytes
}

/// Counts the text of a document that somebody goes through.
#[derive(Default)]
pub(crate) struct Text {
    /// What there was up to here.
    pub(crate) bytes: u64,
    /// The name of a member of the API's frame came last.
    in_frame: bool,
}

impl Text {
    /// A string comes, here without its quotes, and not decoded.
    pub(crate) fn string(&mut self, string: &[u8], is_name: bool) {
        if std::mem::take(&mut self.in_frame) && !is_name {
            return;
        }
        if is_name && FRAME.contains(&string) {
            self.in_frame = true;
        } else if is_name && HOLDERS.contains(&string) {
            // Its own name says nothing to the model.
        } else if string.len() > WORD_BYTES && !string[..WORD_BYTES].iter().any(|byte| matches!(byte, b' ' | b'\\')) {
            self.bytes += FILE_BYTES;
        } else {
            self.bytes += decoded_length(string);
        }
    }

    /// Something else comes. A list, say, or a number ends what the name before it said.
    pub(crate) const fn other(&mut self) {
        self.in_frame = false;
    }
}

/// Length of a JSON string's inside in UTF-8, about: each escape is what it stands for.
pub(crate) fn decoded_length(string: &[u8]) -> u64 {
    let (mut length, mut rest) = (string.len() as u64, string);
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (spelled, is) = match &rest[at + 1..] {
            [b'u', b'0', b'0', b'0'..=b'7', ..] => (6, 1),
            [b'u', b'0', b'0'..=b'7', ..] => (6, 2),
            // Of a pair of surrogates, half.
            [b'u', b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..] => (6, 2),
            [b'u', ..] => (6, 3),
            _ => (2, 1),
        };
        length = length.saturating_sub(spelled - is);
        rest = rest.get(at + spelled as usize..).unwrap_or_default();
    }
    length
}

/// How much of the start of `bytes` is before the quote that ends a JSON string.
pub(crate) fn string_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts with what OpenAI's newest public tokenizer (`o200k_base`) counts in them.
    const COUNTED: &[(&str, i64)] = &[
        (
            "The gateway keeps a record of every request that it relays, and hands the record to the control plane when the answer has ended. If the control plane can't be reached, the record stays on the replica's disk, sealed, until somebody takes it.",
            51,
        ),
        (
            "Die Katze sitzt auf dem Dach und schaut in den Garten, während der Regen langsam nachlässt. Später kommen die Kinder aus der Schule und erzählen, was sie heute gelernt haben.",
            37,
        ),
        (
            "fn whole(count: u128) -> i64 {\n    i64::try_from(count).unwrap_or(i64::MAX)\n}\n\n/// The text, cut between characters.\nfn cut(text: &str, most: usize) -> &str {\n    &text[..text.floor_char_boundary(most)]\n}\n",
            61,
        ),
        (
            r#"{"name":"get_weather","description":"Tells the weather at a place","parameters":{"type":"object","properties":{"city":{"type":"string","description":"The name of the city"},"unit":{"type":"string","enum":["celsius","fahrenheit"]}},"required":["city"]}}"#,
            60,
        ),
        (
            "今天天气很好，我们一起去公园散步，然后在湖边的小店喝茶，聊了很多关于工作和生活的事情。",
            30,
        ),
    ];

    #[test]
    fn estimates_are_within_15_percent_in_the_mean() {
        let (mut estimated, mut real) = (0, 0);
        for (text, count) in COUNTED {
            let found = tokens("openai/gpt-5", text.len() as u64);
            assert!((found - count).abs() * 4 <= *count, "{found} for {count}: {text}");
            (estimated, real) = (estimated + found, real + count);
        }
        assert!((estimated - real).abs() * 100 <= real * 15, "{estimated} for {real}");
        assert!(tokens("claude-opus-4-8", 3_400) > tokens("gpt-5", 3_400));
        assert_eq!(tokens("", 0), 0);
        assert!(tokens("m", u64::MAX) > 0, "no overflow");
    }

    #[test]
    fn the_text_of_a_document_is_counted_without_its_frame_and_its_files() {
        let file = "QUJD".repeat(1_000);
        let json = format!(
            r#"{{"model":"a-model-with-a-long-name","messages":[{{"role":"user","content":[{{"type":"text","text":"12345\n\u00e9\ud83d\ude00"}},{{"type":"image","data":"{file}"}}]}}],"n":1}}"#
        );
        let name = "data".len() as u64 + "n".len() as u64;
        assert_eq!(text_bytes(json.as_bytes()), 5 + 1 + 2 + 4 + name + FILE_BYTES);
        assert_eq!(text_bytes(br#"{"content":"cut off"#), 0, "half a string is none");
        assert_eq!(text_bytes(br#"{"type":["a"],"id":7,"text":"abc"}"#), 4);
    }
}
