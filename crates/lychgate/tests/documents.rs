//! The commands in the repository's documents are commands of the binary, with flags that it knows.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

/// Documents with `lychgate …` in shell blocks.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "ARCHITECTURE.md",
    "docs/operating.md",
    "docs/people.md",
    "docs/providers/anthropic.md",
    "docs/providers/azure-foundry.md",
    "docs/providers/azure-openai.md",
    "docs/providers/bedrock.md",
    "docs/providers/gemini.md",
    "docs/providers/openai-compatible.md",
    "docs/providers/openai.md",
    "docs/providers/openrouter.md",
    "docs/providers/vertex.md",
    "bench/README.md",
    "examples/two-machines/README.md",
];

#[test]
fn every_command_in_the_documents_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut count = 0;
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        // A command may go on in the next line.
        let text = text.replace("\\\n", "");
        for arguments in shell_lines(&text).filter_map(arguments) {
            // Asked for help, the command is parsed as it would be, and not run.
            let output = Command::new(env!("CARGO_BIN_EXE_lychgate"))
                .args(&arguments)
                .arg("--help")
                .output()
                .unwrap();
            let message = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "{document}: lychgate {}\n{message}",
                arguments.join(" ")
            );
            count += 1;
        }
    }
    assert!(
        count >= 10,
        "only {count} commands were found: did the documents change their form?"
    );
}

/// The lines of the blocks marked `sh`.
fn shell_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        if line.starts_with("```") {
            inside = *line == "```sh";
            return false;
        }
        inside
    })
}

/// What the binary would get, or none where the line is another program's.
fn arguments(line: &str) -> Option<Vec<&str>> {
    let command = line.split(['#', '<', '|']).next()?;
    let rest = ["lychgate ", "cargo run --release -- "]
        .iter()
        .find_map(|start| command.trim_start().strip_prefix(start))?;
    Some(rest.split_whitespace().collect())
}

/// The tests that documents name beside what they promise.
#[test]
fn every_test_that_a_document_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut known = HashSet::new();
    collect_tests(&root.join("crates"), &mut known);
    for (document, least) in [("SECURITY.md", 30), ("docs/limits.md", 30)] {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        let words = text.split('`').skip(1).step_by(2);
        // Names of tests are sentences; reasons for refusals are shorter.
        let names: Vec<_> = words.filter(|word| is_sentence(word)).collect();
        assert!(names.len() >= least, "{document} names only {} tests", names.len());
        for name in names {
            assert!(
                known.contains(name),
                "{document} names {name}, and no test is called so"
            );
        }
    }
}

fn is_sentence(word: &str) -> bool {
    word.matches('_').count() >= 3
        && word
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn collect_tests(directory: &Path, names: &mut HashSet<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_tests(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let functions = text
                .lines()
                .filter_map(|line| line.split_once("fn ")?.1.split('(').next());
            names.extend(functions.map(str::to_owned));
        }
    }
}
