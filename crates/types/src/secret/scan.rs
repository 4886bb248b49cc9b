//! Lychgate's own secrets inside other text: a header, a query, a path. They must not leave by any of those.
//!
//! Not here: what is done about one (the gateway refuses it or leaves the header out).

use super::{CHECKSUM_AT, GatewayKeyKind, Kind, LENGTH, UserTokenKind, checksum};
use memchr::memchr_iter;

/// Where in a secret the character is that ends its prefix, and that the search looks for: it is rare in other text.
const MARK_AT: usize = 3;
/// How often escapes are resolved: more than any chain of servers does, and few, since each costs a pass over the text.
const UNESCAPE_ROUNDS: usize = 4;

/// Whether a secret of Lychgate's, by prefix and checksum, is anywhere in the text.
pub fn holds_secret(text: &[u8]) -> bool {
    text.len() >= LENGTH
        && memchr_iter(b'_', text).any(|mark| {
            let candidate = mark.checked_sub(MARK_AT).and_then(|at| text.get(at..at + LENGTH));
            candidate.is_some_and(is_secret)
        })
}

/// The same for text in which a reader may resolve percent escapes, once or several times over.
pub fn holds_secret_escaped(text: &[u8]) -> bool {
    if holds_secret(text) {
        return true;
    }
    let mut text = std::borrow::Cow::Borrowed(text);
    for _ in 0..UNESCAPE_ROUNDS {
        // An escaped secret is longer than a plain one.
        if text.len() <= LENGTH || !text.contains(&b'%') {
            return false;
        }
        text = unescaped(&text).into();
        if holds_secret(&text) {
            return true;
        }
    }
    false
}

fn is_secret(candidate: &[u8]) -> bool {
    let prefixes = [UserTokenKind::PREFIX, GatewayKeyKind::PREFIX];
    prefixes.iter().any(|prefix| candidate.starts_with(prefix.as_bytes()))
        && std::str::from_utf8(candidate).is_ok_and(|text| {
            text.is_char_boundary(CHECKSUM_AT) && checksum(&text[..CHECKSUM_AT]) == candidate[CHECKSUM_AT..]
        })
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (*byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                // Two hexadecimal digits make a byte.
                plain.push((high << 4 | low) as u8);
                rest = &after[2..];
            }
            _ => {
                plain.push(*byte);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ambient;
    use crate::secret::{GatewayKeySecret, UserTokenSecret};

    fn escaped(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02x}")).collect()
    }

    #[test]
    fn a_secret_is_found_wherever_it_is() {
        let token = UserTokenSecret::generate(&Ambient::system());
        let key = GatewayKeySecret::generate(&Ambient::system());
        for secret in [token.expose(), key.expose()] {
            for text in [
                secret.to_owned(),
                format!("Bearer\t{secret}"),
                format!("Bearer a,{secret}"),
                format!("_lgu_{secret}é"),
                format!("lgu_lgw_{secret}{secret}"),
            ] {
                assert!(holds_secret(text.as_bytes()), "{}", text.len());
            }
            let once = format!("key={}", escaped(secret));
            let twice = format!("key={}", once.replace('%', "%25"));
            for text in [once, twice] {
                assert!(!holds_secret(text.as_bytes()));
                assert!(holds_secret_escaped(text.as_bytes()));
            }
        }
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        let token = UserTokenSecret::generate(&Ambient::system());
        let mut typo = token.expose().to_owned();
        typo.replace_range(45.., if typo.ends_with('a') { "b" } else { "a" });
        // Behind a token that lacks its last letter, that letter would make it whole.
        let letters = if token.expose().ends_with('A') { "%42" } else { "%41" }.repeat(60);
        let accented = format!("lgu_{}é", "a".repeat(34));
        let long = format!("lgu_{}", "é".repeat(40));
        for text in [
            "",
            "_",
            "lgu_",
            "x_y",
            &token.expose()[..45],
            &typo,
            &accented,
            &long,
            "%",
            "%4",
            "a=%zz%25",
        ] {
            assert!(!holds_secret_escaped(text.as_bytes()), "{text}");
            assert!(!holds_secret_escaped(format!("{text}{letters}").as_bytes()), "{text}");
        }
        let other = token.expose().replacen("lgu_", "lgx_", 1);
        assert!(!holds_secret(other.as_bytes()));
    }
}
