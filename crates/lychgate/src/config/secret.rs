//! Secrets among the settings: given directly or by a file that contains them.

use super::{Given, Settings};
use std::fmt::Display;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How a secret can be given on the command line.
#[derive(Debug, Default)]
pub(crate) struct SecretFlags {
    /// The secret itself.
    pub(crate) value: Option<String>,
    /// The file that contains it.
    pub(crate) file: Option<String>,
    /// Who may be able to read the file.
    pub(crate) access: FileAccess,
}

/// Who may be able to read a secret's file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum FileAccess {
    /// Anyone: the file's permissions are not checked.
    #[default]
    Any,
    /// Only its owner; another file is refused.
    OwnerOnly,
}

impl Settings {
    /// A secret, given directly or by a file. The highest layer wins; both ways in one layer are a problem. `parse` must not
    /// repeat the secret in its error.
    pub(crate) fn secret<T, E: Display>(
        &mut self,
        name: &'static str,
        file_name: &'static str,
        flags: SecretFlags,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.secret_and_file(name, file_name, flags, parse)
            .map(|(secret, _)| secret)
    }

    /// The same, with the file that it was read from, if any.
    pub(crate) fn secret_and_file<T, E: Display>(
        &mut self,
        name: &'static str,
        file_name: &'static str,
        flags: SecretFlags,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<(T, Option<PathBuf>)> {
        let (given, file) = self.secret_text(name, file_name, flags)?;
        match parse(&given.text) {
            Ok(secret) => Some((secret, file)),
            Err(why) => {
                self.problem(format!("{}: {why}", given.origin));
                None
            }
        }
    }

    fn secret_text(
        &mut self,
        name: &'static str,
        file_name: &'static str,
        flags: SecretFlags,
    ) -> Option<(Given, Option<PathBuf>)> {
        let layers = [
            (Given::by_flag(name, flags.value), Given::by_flag(file_name, flags.file)),
            (self.given_by_variable(name), self.given_by_variable(file_name)),
            (self.given_by_file(name).pop(), self.given_by_file(file_name).pop()),
        ];
        for layer in layers {
            match layer {
                (None, None) => {}
                (Some(value), None) => return Some((value, None)),
                (None, Some(file)) => return self.secret_from_file(&file, flags.access),
                (Some(value), Some(file)) => {
                    self.problem(format!(
                        "{} and {} are both set; set only one",
                        value.origin, file.origin
                    ));
                    return None;
                }
            }
        }
        None
    }

    fn secret_from_file(&mut self, file: &Given, access: FileAccess) -> Option<(Given, Option<PathBuf>)> {
        let origin = format!("{} {}", file.origin, shown_path(&file.text));
        let path = Path::new(&file.text);
        let checked = match access {
            FileAccess::Any => Ok(()),
            FileAccess::OwnerOnly => owner_only(path),
        };
        match checked.and_then(|()| read_secret(path)) {
            Ok(text) => Some((Given { text, origin }, Some(path.to_owned()))),
            Err(why) => {
                self.problem(format!("{origin}: {why}"));
                None
            }
        }
    }
}

/// A path for an error message. If the secret itself was given instead of a file, it is not repeated.
pub(crate) fn shown_path(text: &str) -> &str {
    let secrets = ["lgw_", "lgu_", "sk-", "postgres://", "postgresql://"];
    if secrets.iter().any(|start| text.starts_with(start)) {
        "(not shown, because it looks like the secret itself: give the name of a file that contains it)"
    } else {
        text
    }
}

/// Reads a secret from a file, without surrounding white space. The error does not name the path.
pub(crate) fn read_secret(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|why| format!("can't read the file: {why}"))?;
    match text.trim() {
        "" => Err("the file is empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// Whether its group or other users can read or write a file. What can't be told counts as no.
pub(crate) fn others_have_access(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

/// Refuses a file that its group or other users can read or write.
pub(crate) fn owner_only(path: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(path).map_err(|why| format!("can't read the file: {why}"))?;
    match metadata.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => Err(format!(
            "other users can read or change the file: run `chmod 600 {}`",
            path.display()
        )),
    }
}
