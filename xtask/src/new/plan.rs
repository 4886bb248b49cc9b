//! What a skeleton consists of: files to make, and lines to put into files that are there.
//!
//! A template is a list of changes. Each begins with a line `== what path | anchor | unless text`, and what follows up to the next
//! such line is the text of the file, or the lines to put in:
//!
//! | what | |
//! |---|---|
//! | `create` | makes a file, which must not be there |
//! | `ensure` | makes a file where it is not there |
//! | `append` | puts lines at the end of a file |
//! | `after`, `before` | puts lines after or before the one line that begins with the anchor |
//! | `end` | puts lines at the end of the block that begins with the anchor |
//! | `sorted` | puts a line among those that begin with the anchor, in alphabetical order |
//! | `next` | has no path: what is left for a person to do |
//!
//! A change with `unless` is left out where the file holds that text already.

use anyhow::{Context as _, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The changes.
pub(super) struct Plan(Vec<Change>);

struct Change {
    what: String,
    path: String,
    anchor: String,
    unless: Option<String>,
    text: String,
}

impl Plan {
    /// Reads a template whose words are filled in.
    pub(super) fn read(template: &str) -> anyhow::Result<Self> {
        let mut changes: Vec<Change> = Vec::new();
        for line in template.lines() {
            if let Some(header) = line.strip_prefix("== ") {
                changes.push(read_header(header));
            } else {
                let change = changes.last_mut().context("a template begins with `==`")?;
                change.text.push_str(line);
                change.text.push('\n');
            }
        }
        Ok(Self(changes))
    }

    /// Makes all the changes in the tree's memory.
    pub(super) fn apply(&self, tree: &mut Tree) -> anyhow::Result<()> {
        for change in self.0.iter().filter(|change| change.what != "next") {
            let path = &change.path;
            let there = tree.read(path);
            let text = match (change.what.as_str(), there) {
                ("create", Ok(_)) => bail!("{path} is there already"),
                ("create" | "ensure", Err(_)) => change.text.clone(),
                ("ensure", Ok(_)) => continue,
                (_, there) => {
                    let there = there?;
                    if change.unless.as_ref().is_some_and(|text| there.contains(text)) {
                        continue;
                    }
                    change
                        .insert(&there)
                        .with_context(|| format!("{path}: {}", change.anchor))?
                }
            };
            tree.changed.insert(path.into(), text);
        }
        Ok(())
    }

    /// What is left for a person to do.
    pub(super) fn next_steps(&self) -> String {
        let steps = self.0.iter().filter(|change| change.what == "next");
        steps.map(|change| change.text.trim()).collect()
    }
}

fn read_header(header: &str) -> Change {
    let mut parts = header.split(" | ");
    let (what, path) = parts.next().unwrap_or_default().split_once(' ').unwrap_or((header, ""));
    let (mut anchor, mut unless) = (String::new(), None);
    for part in parts {
        match part.strip_prefix("unless ") {
            Some(text) => unless = Some(text.to_owned()),
            None => part.clone_into(&mut anchor),
        }
    }
    Change {
        what: what.to_owned(),
        path: path.to_owned(),
        anchor,
        unless,
        text: String::new(),
    }
}

impl Change {
    /// What becomes of a file.
    fn insert(&self, file: &str) -> anyhow::Result<String> {
        let mut lines: Vec<&str> = file.lines().collect();
        let at = match self.what.as_str() {
            "append" => lines.len(),
            "before" => self.find(&lines)?,
            "after" => self.find(&lines)? + 1,
            "end" => {
                let begin = self.find(&lines)?;
                let depth = indentation(lines[begin]);
                let ends =
                    |line: &&str| !line.is_empty() && indentation(line) <= depth && !line.trim().starts_with("where");
                let length = lines[begin + 1..]
                    .iter()
                    .position(ends)
                    .context("the block has no end")?;
                begin + 1 + length
            }
            "sorted" => {
                let line = self.text.trim_end();
                let is_one = |other: &&str| other.starts_with(&self.anchor);
                let last = lines.iter().rposition(is_one).context("no line begins like this")?;
                let later = lines.iter().position(|other| is_one(other) && *other > line);
                later.unwrap_or(last + 1)
            }
            other => bail!("a template asks for {other}"),
        };
        lines.splice(at..at, self.text.lines());
        Ok(lines.join("\n") + "\n")
    }

    fn find(&self, lines: &[&str]) -> anyhow::Result<usize> {
        let mut found = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.trim_start().starts_with(&self.anchor));
        match (found.next(), found.next()) {
            (Some((at, _)), None) => Ok(at),
            (None, _) => bail!("no line begins like this: the templates have to be mended"),
            (Some(_), Some(_)) => bail!("several lines begin like this: the templates have to be mended"),
        }
    }
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The repository, with changes that are not written yet.
pub(super) struct Tree {
    root: PathBuf,
    changed: BTreeMap<PathBuf, String>,
}

impl Tree {
    pub(super) fn of(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            changed: BTreeMap::new(),
        }
    }

    pub(super) fn read(&self, path: &str) -> anyhow::Result<String> {
        match self.changed.get(Path::new(path)) {
            Some(text) => Ok(text.clone()),
            None => std::fs::read_to_string(self.root.join(path)).with_context(|| format!("can't read {path}")),
        }
    }

    /// Writes the changes; answers with their files.
    pub(super) fn write(self) -> anyhow::Result<Vec<PathBuf>> {
        for (path, text) in &self.changed {
            let path = self.root.join(path);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
            }
            std::fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))?;
        }
        Ok(self.changed.into_keys().collect())
    }

    #[cfg(test)]
    pub(super) fn changed(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.changed.iter().map(|(path, text)| (path.as_path(), text.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "mod a;\nmod c;\n\nfn f() {\n    match x {\n        1 => 2,\n    }\n}\n";

    fn changed(header: &str) -> anyhow::Result<String> {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("f"), FILE).unwrap();
        let mut tree = Tree::of(root.path());
        Plan::read(&format!("== {header}\nmod b;\n"))?.apply(&mut tree)?;
        tree.write()?;
        Ok(std::fs::read_to_string(root.path().join("f")).unwrap())
    }

    #[test]
    fn lines_are_put_where_the_anchor_says() {
        for (header, expected) in [
            ("after f | mod a;", FILE.replace("mod a;\n", "mod a;\nmod b;\n")),
            ("before f | fn f()", FILE.replace("fn f", "mod b;\nfn f")),
            ("sorted f | mod ", FILE.replace("mod c;", "mod b;\nmod c;")),
            ("end f | match x", FILE.replace("2,\n", "2,\nmod b;\n")),
            ("end f | fn f", FILE.replace("    }\n}", "    }\nmod b;\n}")),
            ("append f", format!("{FILE}mod b;\n")),
            ("append f | unless mod a;", FILE.to_owned()),
            ("append f | unless mod b;", format!("{FILE}mod b;\n")),
            ("ensure f", FILE.to_owned()),
            ("create g/h", FILE.to_owned()),
        ] {
            assert_eq!(changed(header).unwrap(), expected, "{header}");
        }
    }

    #[test]
    fn an_anchor_that_is_not_there_once_is_an_error() {
        for (header, told) in [
            ("after f | mod d", "no line"),
            ("after f | mod", "several lines"),
            ("sorted f | use", "no line"),
            ("after g | mod a", "can't read g"),
            ("create f", "is there already"),
            ("other f", "asks for other"),
        ] {
            let error = format!("{:#}", changed(header).unwrap_err());
            assert!(error.contains(told), "{header}: {error}");
        }
    }
}
