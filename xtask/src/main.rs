//! The project's own commands, `cargo xtask …`. Nothing here ships; nothing here knows a crate that does, so that it
//! compiles in seconds.

mod apt;
mod ci;
mod deny;
mod faketime;
mod faults;
mod generate;
mod new;
mod node;
mod postgres;
mod python;
mod runner;
mod steps;
mod test;
mod tools;

use anyhow::{Context as _, bail};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

const HELP: &str = "\
Usage: cargo xtask <command>

  ci [STEP…]     run what every change must pass: all steps in order, or those that are named
  test [ARGS…]   run all tests with a throw-away PostgreSQL and the providers' SDKs; ARGS go to the test runner,
                 for example: cargo xtask test -p lychgate-store name_of_a_test
  faults --seeds N [--first SEED] [--jobs N] [--release]
                 run the fault suite with N seeds, each with its own schedule, and print a summary
  generate [CRATE…]
                 write the generated files anew (policy matrix, OpenAPI document, control-link code): all, or those of one crate
  deny [CHECK…]  check dependencies, layering, import cycles and sizes of files: all, or the checks that are named
  new KIND NAME  write the skeleton of an endpoint, provider, metric, command or policy-setting; without a NAME it says how

An unknown STEP or CHECK lists those that there are.
";

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<OsString> = args.collect();
    let outcome = match (command.to_str(), rest.is_empty()) {
        (Some("ci"), _) => ci::run(&rest),
        (Some("test"), _) => test::run(&rest),
        (Some("faults"), _) => faults::run(&rest),
        (Some("generate"), _) => generate::run(&rest),
        (Some("deny"), _) => deny::run(&rest),
        (Some("new"), _) => new::run(&rest),
        (Some("help" | "--help" | "-h"), true) => {
            say(HELP.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(anyhow::anyhow!("these arguments make no command\n\n{HELP}")),
    };
    outcome.unwrap_or_else(|error| {
        tell(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// Prints a result.
#[expect(clippy::print_stdout, reason = "a command's result goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}

/// Prints progress and errors.
#[expect(clippy::print_stderr, reason = "progress and errors go to standard error")]
fn tell(text: &str) {
    eprintln!("xtask: {text}");
}

/// The repository's root.
fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Where Cargo puts what it builds, and we what we keep between runs.
fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Waits until no other run prepares the same thing in the target directory. The lock ends with the file's handle.
fn lock(name: &str) -> anyhow::Result<std::fs::File> {
    let target = target_dir();
    std::fs::create_dir_all(&target).with_context(|| format!("can't make {}", target.display()))?;
    let path = target.join(format!("{name}.lock"));
    let lock = std::fs::File::create(&path).with_context(|| format!("can't make {}", path.display()))?;
    lock.lock().with_context(|| format!("can't lock {}", path.display()))?;
    Ok(lock)
}

/// Cargo, in the root.
fn cargo() -> Command {
    in_root(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program in the root, with the environment that a person's shell would give it: what `cargo run` added for us is taken
/// away, or build scripts that look at it would run again.
fn in_root(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command to its end; what it printed is part of the error when it fails.
fn run_quietly(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("can't start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

/// Whether `program` can be started at all.
fn exists(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn code_owners_are_of_places_that_are_there() {
        let text = std::fs::read_to_string(super::root().join("CODEOWNERS")).unwrap();
        let rules: Vec<_> = text.lines().filter(|line| line.starts_with('/')).collect();
        assert!(!rules.is_empty());
        for rule in rules {
            let place = rule.split_whitespace().next().unwrap().trim_start_matches('/');
            assert!(super::root().join(place).exists(), "{place}");
        }
    }

    #[test]
    fn the_documents_name_commands_that_are_there() {
        let mut count = 0;
        for document in [
            "README.md",
            "ARCHITECTURE.md",
            "CONTRIBUTING.md",
            "docs/checklists.md",
            ".ci/run",
        ] {
            let text = std::fs::read_to_string(super::root().join(document)).unwrap();
            for (_, rest) in text
                .match_indices("cargo xtask ")
                .map(|(at, found)| text.split_at(at + found.len()))
            {
                let word: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
                assert!(
                    super::HELP.contains(&format!("\n  {word} ")),
                    "{document}: cargo xtask {word}"
                );
                count += 1;
            }
        }
        assert!(count > 5, "only {count} commands were found");
    }
}
