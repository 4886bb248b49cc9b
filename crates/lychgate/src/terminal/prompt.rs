//! Questions to the person at the terminal.

use crate::failure::{Failure, Outcome};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use std::io::{BufRead, IsTerminal, Read, Write};

/// The option to skip the question.
#[derive(Debug, clap::Args)]
pub(crate) struct YesArgs {
    /// Do not ask for confirmation
    #[arg(short = 'y', long)]
    pub(crate) yes: bool,
}

/// Continues only if the user confirms. Without a terminal `-y` is required.
pub(crate) fn confirm(args: &YesArgs, question: &str) -> Outcome {
    if args.yes {
        return Ok(());
    }
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Failure::Usage(format!(
            "standard input is not a terminal, so this can't be confirmed (\"{question}\"): add -y to confirm it"
        )));
    }
    ask(&format!("{question} [y/N] "))?;
    let mut answer = String::new();
    input
        .lock()
        .read_line(&mut answer)
        .map_err(|why| Failure::Failed(format!("can't read the answer: {why}")))?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Failed("nothing was changed".to_owned())),
    }
}

/// Reads a secret: from the terminal without showing it, or from whatever is piped in. Surrounding white space is removed.
pub(crate) fn secret(question: &str) -> Outcome<String> {
    let input = std::io::stdin();
    let mut text = String::new();
    let read = if input.is_terminal() {
        ask(question)?;
        let _hidden = HiddenInput::start();
        input.lock().read_line(&mut text)
    } else {
        // Longer than any secret, so that a wrong file is not read in full.
        input.lock().take(64 * 1024).read_to_string(&mut text)
    };
    read.map_err(|why| Failure::Failed(format!("can't read the secret from standard input: {why}")))?;
    Ok(text.trim().to_owned())
}

fn ask(question: &str) -> Outcome {
    let mut out = std::io::stderr();
    out.write_all(question.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|_| Failure::OutputClosed)
}

/// Keeps the terminal from showing what is typed, until dropped.
struct HiddenInput(Option<nix::sys::termios::Termios>);

impl HiddenInput {
    fn start() -> Self {
        let before = tcgetattr(std::io::stdin()).ok();
        if let Some(mut hidden) = before.clone() {
            hidden.local_flags.remove(LocalFlags::ECHO);
            // Visible typing is bad, but being unable to log in is worse.
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSAFLUSH, &hidden);
        }
        Self(before)
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSAFLUSH, before);
            let _ = std::io::stderr().write_all(b"\n");
        }
    }
}
