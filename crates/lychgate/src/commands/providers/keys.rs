//! Where the keys of a provider are read from.

use crate::commands::secret_from;
use crate::config::Environment;
use crate::failure::{Failure, Outcome};
use crate::terminal::prompt;
use std::path::PathBuf;

/// Where a provider's keys are read from; never the command line itself, which other users of the machine can see.
#[derive(Debug, clap::Args)]
pub(super) struct KeyArgs {
    /// File with a provider key; repeatable
    #[arg(long, value_name = "FILE")]
    key_file: Vec<PathBuf>,
    /// Environment variable with a provider key; repeatable
    #[arg(long, value_name = "VARIABLE")]
    key_env: Vec<String>,
}

impl KeyArgs {
    /// Reads them, files first.
    pub(super) fn read(&self, environment: &Environment) -> Outcome<Vec<String>> {
        let files = self.key_file.iter().map(|path| secret_from(path));
        let variables = self.key_env.iter().map(|name| {
            // If the key itself was given by mistake, the error must not repeat it.
            let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !is_name {
                let error = "--key-env: give the name of an environment variable that holds the key, not the key";
                return Err(Failure::Usage(error.to_owned()));
            }
            let text = environment.get(name).map_err(Failure::Usage)?;
            text.map(|text| text.trim().to_owned())
                .ok_or_else(|| Failure::Usage(format!("--key-env: {name} is not set")))
        });
        files.chain(variables).collect()
    }
}

/// Asks for a key, or reads it from a pipe.
pub(super) fn key_from_input(name: &str) -> Outcome<String> {
    match prompt::secret(&format!("Key for provider {name}: "))? {
        key if key.is_empty() => Err(Failure::Usage(
            "no key was given: pipe one to standard input, or use --key-file or --key-env".to_owned(),
        )),
        key => Ok(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_files_and_variables() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "sk-file\n").unwrap();
        let environment: Environment = [("KEY".to_owned(), "sk-variable")].into_iter().collect();
        let args = |variable: &str| KeyArgs {
            key_file: vec![path.clone()],
            key_env: vec![variable.to_owned()],
        };
        assert_eq!(args("KEY").read(&environment).unwrap(), ["sk-file", "sk-variable"]);
        assert!(
            !args("sk-canary")
                .read(&environment)
                .unwrap_err()
                .to_string()
                .contains("canary")
        );
        assert_eq!(
            args("OTHER").read(&environment).unwrap_err().to_string(),
            "--key-env: OTHER is not set"
        );
    }
}
