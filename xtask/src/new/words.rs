//! The words that are put into templates, and how they are made from the names on the command line.

use anyhow::bail;
use std::collections::BTreeMap;

/// `@@word@@` in a template stands for a word; a line that begins with `@@flag?@@` is there only when the flag is set.
#[derive(Default)]
pub(super) struct Words {
    words: BTreeMap<String, String>,
    flags: BTreeMap<String, bool>,
}

impl Words {
    pub(super) fn set(&mut self, name: &str, word: &str) -> &mut Self {
        self.words.insert(name.to_owned(), word.to_owned());
        self
    }

    pub(super) fn flag(&mut self, name: &str, set: bool) -> &mut Self {
        self.flags.insert(name.to_owned(), set);
        self
    }

    pub(super) fn fill(&self, template: &str) -> anyhow::Result<String> {
        let mut filled = String::new();
        for line in template.lines() {
            let mut line = line.to_owned();
            for (flag, set) in &self.flags {
                if let Some(rest) = line.strip_prefix(&format!("@@{flag}?@@")) {
                    line = if *set { rest.to_owned() } else { DROPPED.to_owned() };
                }
            }
            for (name, word) in &self.words {
                line = line.replace(&format!("@@{name}@@"), word);
            }
            if line == DROPPED {
                continue;
            }
            if line.contains("@@") {
                bail!("the template has an unknown word: {line}");
            }
            filled.push_str(&line);
            filled.push('\n');
        }
        Ok(filled)
    }
}

/// No template has such a line.
const DROPPED: &str = "\0";

/// Lower-case words of letters and digits, the first of which begins with a letter, with single separators between them.
pub(super) fn is_name(name: &str, separators: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    name.starts_with(|first: char| first.is_ascii_lowercase()) && name.split(|c| separators.contains(c)).all(is_word)
}

/// `made-up` → `made_up`
pub(super) fn snake(name: &str) -> String {
    name.replace('-', "_")
}

/// `made_up` → `made-up`
pub(super) fn kebab(name: &str) -> String {
    name.replace('_', "-")
}

/// `made_up` → `MadeUp`
pub(super) fn camel(name: &str) -> String {
    name.split(['-', '_']).map(super::capital).collect()
}

/// Of the plural of a regular noun.
pub(super) fn singular(noun: &str) -> String {
    match noun.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => noun.strip_suffix('s').unwrap_or(noun).to_owned(),
    }
}

/// What the operations of a noun begin with, by one that the router has: `keys::get::ai_gateway_key_get` → `ai_gateway_key`.
pub(super) fn operation_prefix(router: &str, module: &str) -> Option<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (_, rest) = router.split_once(&format!("{module}::"))?;
    let (verb, rest) = rest.split_once("::")?;
    let operation = rest.split(|c| !is_word(c)).next()?;
    operation.strip_suffix(verb)?.strip_suffix('_').map(str::to_owned)
}

/// The string literal after `before`.
pub(super) fn quoted_after(text: &str, before: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("{before}\""))?;
    rest.split('"').next().map(str::to_owned)
}

/// One more than the greatest field number of a message.
pub(super) fn next_tag(proto: &str, message: &str) -> Option<u32> {
    let (_, rest) = proto.split_once(message)?;
    let (body, _) = rest.split_once('}')?;
    let tags = body
        .lines()
        .filter_map(|line| line.split_once(" = ")?.1.strip_suffix(';')?.parse().ok());
    tags.max().map(|tag: u32| tag + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_with_single_separators() {
        for (name, separators, good) in [
            ("users", "-_", true),
            ("made-up_2", "-_", true),
            ("made_up", "-", false),
            ("", "-", false),
            ("2users", "-", false),
            ("a--b", "-", false),
            ("a-", "-", false),
            ("A", "-", false),
        ] {
            assert_eq!(is_name(name, separators), good, "{name}");
        }
        assert_eq!((camel("made-up"), camel("made_up")), ("MadeUp".into(), "MadeUp".into()));
        assert_eq!(
            (singular("policies"), singular("users")),
            ("policy".into(), "user".into())
        );
    }

    #[test]
    fn words_and_flags_are_filled_in_and_unknown_ones_refused() {
        let mut words = Words::default();
        words.set("name", "x").flag("yes", true).flag("no", false);
        let filled = words.fill("a @@name@@\n@@yes?@@b\n@@no?@@c @@name@@\n\nd").unwrap();
        assert_eq!(filled, "a x\nb\n\nd\n");
        assert!(words.fill("@@other@@").is_err());
        assert!(words.fill("@@other?@@a").is_err());
    }

    #[test]
    fn what_is_there_already_is_read() {
        let router = ".routes(routes!(keys::get::ai_gateway_key_get, keys::x::y))";
        assert_eq!(operation_prefix(router, "keys").as_deref(), Some("ai_gateway_key"));
        assert_eq!(operation_prefix(router, "users"), None);
        assert_eq!(
            quoted_after("(get, path = \"/users\", x)", "path = ").as_deref(),
            Some("/users")
        );
        assert_eq!(
            next_tag(
                "message A {\n  bool a = 9;\n}\nmessage B {\n  bool b = 3;\n  bool c = 2;\n}",
                "message B {"
            ),
            Some(4)
        );
    }
}
