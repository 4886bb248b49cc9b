//! Whether a licence expression can be satisfied with what we allow.

use super::graph::Graph;
use super::policy::Licences;

/// Says which packages we have no licence for.
pub(super) fn check(policy: &Licences, graph: &Graph) -> Vec<String> {
    let mut problems = Vec::new();
    for node in graph.all() {
        if graph.is_member(node) {
            continue;
        }
        let package = &node.package;
        match &package.license {
            None => problems.push(format!("{} {} declares no licence", package.name, package.version)),
            Some(licence) if !allowed(licence, &policy.allow) => {
                problems.push(format!(
                    "{} {} is under {licence}, which deny.toml does not allow",
                    package.name, package.version
                ));
            }
            Some(_) => {}
        }
    }
    problems
}

/// Reads SPDX, and the slash that older packages write for OR. What does not read is not allowed.
fn allowed(expression: &str, allow: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allow };
    reader.either() == Some(true) && reader.words.is_empty()
}

/// Every part answers whether it is allowed; none: it does not read as a licence.
struct Reader<'a> {
    words: &'a [&'a str],
    allow: &'a [String],
}

impl Reader<'_> {
    fn either(&mut self) -> Option<bool> {
        let mut allowed = self.all()?;
        while self.take("OR") {
            allowed |= self.all()?;
        }
        Some(allowed)
    }

    fn all(&mut self) -> Option<bool> {
        let mut allowed = self.one()?;
        while self.take("AND") {
            allowed &= self.one()?;
        }
        Some(allowed)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let allowed = self.either()?;
            return self.take(")").then_some(allowed);
        }
        let mut licence = self
            .next()
            .filter(|word| !matches!(*word, "OR" | "AND" | "WITH" | ")"))?
            .to_owned();
        if self.take("WITH") {
            licence = format!("{licence} WITH {}", self.next()?);
        }
        Some(self.allow.contains(&licence))
    }

    fn next(&mut self) -> Option<&str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn expressions_are_allowed_as_far_as_their_parts_are() {
        let allow = ["MIT".to_owned(), "ISC".to_owned(), "Apache-2.0".to_owned()];
        let allowed = |expression| super::allowed(expression, &allow);
        assert!(allowed("MIT"));
        assert!(!allowed("GPL-3.0"));
        assert!(allowed("GPL-3.0 OR MIT"));
        assert!(!allowed("GPL-3.0 AND MIT"));
        assert!(allowed("Apache-2.0/MIT"));
        assert!(allowed("Apache-2.0 / GPL-2.0"));
        assert!(allowed("ISC AND (Apache-2.0 OR OpenSSL)"));
        assert!(!allowed("ISC AND (GPL-3.0 OR OpenSSL)"));
        assert!(!allowed("MIT AND GPL-3.0 OR GPL-2.0"), "AND binds tighter than OR");
        assert!(
            !allowed("Apache-2.0 WITH LLVM-exception"),
            "an exception makes another licence of it"
        );
        assert!(allowed("Apache-2.0 WITH LLVM-exception OR MIT"));
        for broken in ["", "MIT OR", "(MIT", "MIT)", "MIT ISC", "OR MIT"] {
            assert!(!allowed(broken), "{broken}");
        }
    }
}
