//! The one rule for names that people give to things (users, gateway keys, providers).

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name: 1 to 64 characters matching `^[a-z0-9]+(-[a-z0-9]+)*$`, kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Text that breaks the name rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 64 characters: letters a to z, digits, and single dashes between them")]
pub struct NameError;

impl Name {
    /// Lower-cases the text (ASCII only), then checks the rule.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.to_ascii_lowercase();
        let words_ok = text
            .split('-')
            .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        if words_ok && text.len() <= 64 {
            Ok(Self(text))
        } else {
            Err(NameError)
        }
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn the_rule_at_its_edges() {
        let long = "a".repeat(64);
        for good in ["a", "0", "edge-1", "a-b-c", &long] {
            assert_eq!(Name::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(Name::parse("Edge-1").unwrap().as_str(), "edge-1");
        for bad in [
            "",
            "-a",
            "a-",
            "a--b",
            "a_b",
            "a b",
            "a.b",
            "é",
            "Ａ",
            "a\n",
            &"a".repeat(65),
        ] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
    }
}
