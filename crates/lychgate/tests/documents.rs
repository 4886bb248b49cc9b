//! The commands in the repository's documents are commands of the binary, with flags that it knows.

use std::path::Path;
use std::process::Command;

/// Documents with `lychgate …` in shell blocks.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "ARCHITECTURE.md",
    "bench/README.md",
    "examples/claude-code.md",
    "examples/codex.md",
    "examples/compose/README.md",
];

#[test]
fn every_command_in_the_documents_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut count = 0;
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
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
    let command = line.split('#').next()?.split('<').next()?;
    let rest = ["lychgate ", "cargo run --release -- "]
        .iter()
        .find_map(|start| command.trim_start().strip_prefix(start))?;
    Some(rest.split_whitespace().collect())
}
