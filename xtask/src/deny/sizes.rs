//! Lengths of hand-written files, and how many lines of tests there are for each line of code.
//!
//! Code generated from elsewhere stands in folders called `generated` and does not count. Lines are counted as they stand,
//! comments included. The ratio of tests to code is that of what ships: the project's own tools (`bench`, `xtask`) are neither.

use super::Outcome;
use super::modules::ships;
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A longer file gives its reason in its first lines.
const LONGEST: usize = 500;
const REASON: &str = "//! Long because ";
/// The mean length of all files.
const LONGEST_MEAN: usize = 160;
/// Lines of tests for a hundred lines of code.
const FEWEST_TESTS: usize = 85;

/// Where hand-written code is.
const PLACES: &[&str] = &["bench", "crates", "fuzz", "tests-sdk", "xtask"];
/// Folders whose files are not hand-written or not ours.
const SKIPPED: &[&str] = &["generated", "node_modules", "target", "templates"];
/// Folders whose files are tests, or serve nothing else.
const OF_TESTS: &[&str] = &["fuzz", "postgres", "testkit", "tests", "tests-sdk"];
/// The project's own tools, which do not ship.
const TOOLS: &[&str] = &["bench", "xtask"];

/// One file.
struct Source {
    /// Relative to the root.
    path: PathBuf,
    text: String,
}

/// Lines of tests and of code.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lines {
    tests: usize,
    code: usize,
}

/// Reports files that are too long, and prints what all of them come to.
pub(super) fn check() -> anyhow::Result<Outcome> {
    let mut sources = Vec::new();
    for place in PLACES {
        read_folder(crate::root(), Path::new(place), &mut sources)?;
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    let rust: Vec<_> = sources.iter().filter(|source| is_rust(&source.path)).collect();
    let mut problems: Vec<_> = rust.iter().filter_map(|source| too_long(source)).collect();
    let mean = rust.iter().map(|source| source.text.lines().count()).sum::<usize>() / rust.len().max(1);
    if mean > LONGEST_MEAN {
        problems.push(format!(
            "files have {mean} lines on average, {LONGEST_MEAN} is the most"
        ));
    }
    let lines = count(&sources)?;
    let percent = lines.tests * 100 / lines.code.max(1);
    if percent < FEWEST_TESTS {
        problems.push(format!(
            "there are {percent} lines of tests for 100 of code ({} for {}), {FEWEST_TESTS} is the least",
            lines.tests, lines.code
        ));
    }
    crate::say(&format!(
        "{} files of Rust, {mean} lines on average; {} lines of tests, {} of code: {percent} for 100",
        rust.len(),
        lines.tests,
        lines.code
    ));
    Ok(Outcome::Checked(problems))
}

fn read_folder(root: &Path, folder: &Path, sources: &mut Vec<Source>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(root.join(folder)).with_context(|| format!("can't read {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("can't read {}", folder.display()))?;
        let path = folder.join(entry.file_name());
        if root.join(&path).is_dir() {
            if !SKIPPED.iter().any(|skipped| entry.file_name() == *skipped) {
                read_folder(root, &path, sources)?;
            }
        } else if is_rust(&path) || (is_in(&path, &["tests-sdk"]) && is_script(&path)) {
            let text =
                std::fs::read_to_string(root.join(&path)).with_context(|| format!("can't read {}", path.display()))?;
            sources.push(Source { path, text });
        }
    }
    Ok(())
}

fn too_long(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    let mut head = source.text.lines().take_while(|line| line.starts_with("//!"));
    (lines > LONGEST && !head.any(|line| line.starts_with(REASON))).then(|| {
        format!(
            "{} has {lines} lines: split it, or say why not by a line `{REASON}…` at its top",
            source.path.display()
        )
    })
}

/// Tests are files in folders of tests, and modules that only tests compile, in the same file or in others.
fn count(sources: &[Source]) -> anyhow::Result<Lines> {
    let mut lines = Lines::default();
    let mut test_modules = BTreeSet::new();
    let mut rest = Vec::new();
    for source in sources {
        if TOOLS.iter().any(|tool| source.path.starts_with(tool)) {
            continue;
        }
        let all = source.text.lines().count();
        if is_in(&source.path, OF_TESTS) {
            lines.tests += all;
            continue;
        }
        let file = syn::parse_file(&source.text).with_context(|| format!("can't parse {}", source.path.display()))?;
        let mut inside = 0;
        for item in file.items {
            let syn::Item::Mod(module) = item else {
                continue;
            };
            match (&module.content, module.attrs.first()) {
                _ if ships(&module.attrs) => {}
                (Some((braces, _)), Some(first)) => {
                    inside += braces.span.close().end().line + 1 - first.pound_token.span.start().line;
                }
                _ => {
                    test_modules.insert(children(&source.path).join(module.ident.to_string()));
                }
            }
        }
        rest.push((&source.path, inside, all - inside));
    }
    for (path, tests, code) in rest {
        let of_test_module = path
            .with_extension("")
            .ancestors()
            .any(|module| test_modules.contains(module));
        lines.tests += if of_test_module { tests + code } else { tests };
        lines.code += if of_test_module { 0 } else { code };
    }
    Ok(lines)
}

/// The folder that holds the child modules of a file.
fn children(file: &Path) -> PathBuf {
    match file.file_stem().and_then(OsStr::to_str) {
        Some("lib" | "main" | "mod") | None => file.parent().unwrap_or(file).to_owned(),
        Some(_) => file.with_extension(""),
    }
}

fn is_in(path: &Path, folders: &[&str]) -> bool {
    path.iter().any(|part| folders.iter().any(|folder| part == *folder))
}

fn is_rust(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("rs"))
}

fn is_script(path: &Path) -> bool {
    matches!(
        path.extension().and_then(OsStr::to_str),
        Some("py" | "mjs" | "js" | "ts")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.into(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_long_file_gives_its_reason_at_its_top() {
        let body = "\n".repeat(LONGEST + 1);
        assert!(too_long(&source("a.rs", &"\n".repeat(LONGEST))).is_none());
        assert!(too_long(&source("a.rs", &body)).is_some());
        assert!(
            too_long(&source(
                "a.rs",
                &format!("//! A.\n//! Long because it is a table.\n{body}")
            ))
            .is_none()
        );
        assert!(too_long(&source("a.rs", &format!("//! A.\n{body}//! Long because late.\n"))).is_some());
    }

    #[test]
    fn tests_are_told_from_code() {
        let sources = [
            source(
                "crates/a/src/lib.rs",
                "mod b;\n#[cfg(test)]\nmod simulation;\nfn f() {}\n#[cfg(test)]\nmod tests {\n}\n",
            ),
            source("crates/a/src/b.rs", "fn f() {}\n#[cfg(test)]\nmod tests;\n"),
            source("crates/a/src/b/tests.rs", "fn f() {}\n"),
            source("crates/a/src/simulation.rs", "mod world;\n"),
            source("crates/a/src/simulation/world.rs", "fn f() {}\n"),
            source("crates/a/tests/it.rs", "fn f() {}\n"),
            source("tests-sdk/a.py", "pass\n"),
            source("bench/src/main.rs", "fn f() {}\n"),
        ];
        // Of code: four lines in lib.rs, three in b.rs.
        assert_eq!(count(&sources).unwrap(), Lines { tests: 8, code: 7 });
    }
}
