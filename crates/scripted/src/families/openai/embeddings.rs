//! OpenAI Embeddings: vectors that depend on the text, as numbers or in base64.

use crate::ask::{Ask, Said, words};
use crate::families::{Api, Family, Stream, input_tokens};
use crate::json::{items, quoted};
use crate::scenario::Scenario;
use crate::seed::Seed;
use serde_json::Value;

const MOST_INPUTS: usize = 64;

/// OpenAI Embeddings.
pub(crate) struct Embeddings;

impl Api for Embeddings {
    fn name(&self) -> &'static str {
        "openai_embeddings"
    }

    fn path(&self) -> &'static str {
        "/v1/embeddings"
    }

    fn family(&self) -> &'static dyn Family {
        &super::OpenAi
    }

    fn example(&self, _stream: bool) -> String {
        r#"{"model":"text-embedding-3-small","input":"Hello"}"#.to_owned()
    }

    fn turns(&self) -> &'static str {
        "messages"
    }

    fn required(&self) -> &'static str {
        "input"
    }

    fn said(&self, body: &Value, _: &Value) -> Said {
        Said::user(words(&body["input"]))
    }

    fn wants_thinking(&self, _: &Value) -> bool {
        false
    }

    fn whole(&self, ask: &Ask, _: Scenario) -> String {
        embeddings(ask)
    }

    fn stream(&self, _: &Ask, _: Scenario) -> Option<Stream> {
        None
    }
}

/// The answer: one vector per input, of which the first 64 are answered.
fn embeddings(ask: &Ask) -> String {
    let input = &ask.body["input"];
    // A list of numbers is one text, given as tokens.
    let inputs: Vec<String> = match items(&ask.body, "input") {
        [] => vec![ask.said.clone()],
        [Value::Number(_), ..] => vec![input.to_string()],
        many => many.iter().take(MOST_INPUTS).map(ToString::to_string).collect(),
    };
    let length = ask.body["dimensions"]
        .as_u64()
        .and_then(|d| usize::try_from(d).ok())
        .unwrap_or(256)
        .clamp(1, 3072);
    let base64 = ask.body["encoding_format"] == "base64";
    let vector = |(index, text): (usize, &String)| {
        let vector = vector(text, length);
        let spelled = if base64 {
            quoted(&base64_of(&vector))
        } else {
            Value::from(vector).to_string()
        };
        format!(r#"{{"object":"embedding","index":{index},"embedding":{spelled}}}"#)
    };
    let vectors: Vec<String> = inputs.iter().enumerate().map(vector).collect();
    let tokens = input_tokens(ask);
    format!(
        r#"{{"object":"list","data":[{}],"model":{},"usage":{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}}}"#,
        vectors.join(","),
        quoted(&ask.model),
    )
}

/// A vector of about unit length.
fn vector(text: &str, length: usize) -> Vec<f32> {
    let mut seed = Seed::new(&["embedding", text]);
    #[expect(clippy::cast_precision_loss, reason = "noise does not mind")]
    let mut draw = || (seed.draw() >> 40) as f32 / (1u32 << 23) as f32 - 1.0;
    let raw: Vec<f32> = (0..length).map(|_| draw()).collect();
    let norm = raw.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    raw.into_iter().map(|x| x / norm).collect()
}

/// Little-endian 32-bit floats in base64, as the SDKs ask for.
fn base64_of(vector: &[f32]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| (word << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = ALPHABET[usize::try_from((word >> (18 - 6 * place)) & 63).unwrap_or(0)];
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_the_padding_that_the_length_asks_for() {
        // Three floats are twelve bytes; one float is four, so two signs of padding.
        assert_eq!(base64_of(&[1.0]), "AACAPw==");
        assert_eq!(base64_of(&[0.0, 0.0, 0.0]), "AAAAAAAAAAAAAAAA");
        assert_eq!(base64_of(&[1.0, -2.0]), "AACAPwAAAMA=");
    }
}
