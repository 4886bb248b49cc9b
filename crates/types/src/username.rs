//! The rule for usernames: as directories have them, e-mail addresses among them.
//!
//! Wider than that of [`crate::Name`], whose names are all valid here. ASCII only: letters that look alike can't be told apart by
//! people who give rights. Every character may stand in a path as it is.

/// A username: 1 to 200 characters matching `^[a-z0-9]([a-z0-9._+@-]*[a-z0-9])?$`, kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Username(String);

/// Text that breaks the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a username has 1 to 200 characters: letters a to z, digits, and . _ + @ - between them; an e-mail address can be one"
)]
pub struct UsernameError;

impl Username {
    /// Lower-cases the text (ASCII only), then checks the rule.
    pub fn parse(text: &str) -> Result<Self, UsernameError> {
        let text = text.to_ascii_lowercase();
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._+@-".contains(&b);
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        if bytes.len() <= 200 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|b| inner(*b)) {
            Ok(Self(text))
        } else {
            Err(UsernameError)
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Username {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Username;

    #[test]
    fn the_rule_at_its_edges() {
        let long = "a".repeat(200);
        for good in [
            "a",
            "0",
            "edge-1",
            "ada.lovelace@example.com",
            "ada+ai@b-c.example",
            "svc_build--7",
            &long,
        ] {
            assert_eq!(Username::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(Username::parse("Ada@Example.COM").unwrap().as_str(), "ada@example.com");
        let too_long = "a".repeat(201);
        for bad in [
            "", ".", "..", "-a", "a-", "@a", "a@", "a b", "a/b", "a%2f", "a\\b", "é", "Ａ", "аda", "a\0", "a\n", "a?b",
            "a#b", &too_long,
        ] {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
    }
}
