//! A user's machine for a client: a directory of its own with the settings that `lychgate clients` prints for it, pasted where they say
//! they go.

use crate::sdk::isolated;
use lychgate_testkit::app::App;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// Which client it is for, and where that goes.
pub(crate) struct Wanted<'a> {
    /// As `lychgate clients` calls it.
    pub(crate) client: &'a str,
    /// Address of the gateway.
    pub(crate) gateway: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) provider_type: &'a str,
    pub(crate) token: &'a str,
    /// What the user changes, and to what.
    pub(crate) changes: &'a [(&'a str, &'a str)],
}

/// The machine.
pub(crate) struct Machine {
    pub(crate) home: PathBuf,
    /// The lines for a shell.
    environment: String,
}

impl Machine {
    /// Puts token and settings in their places.
    pub(crate) async fn new(app: &App, wanted: &Wanted<'_>) -> Self {
        let home = app.directory().join("home");
        let token_file = home.join(".config/lychgate/user-token");
        std::fs::create_dir_all(token_file.parent().unwrap()).unwrap();
        std::fs::write(token_file, wanted.token).unwrap();
        let printed = app
            .cli_json(&[
                "clients",
                wanted.client,
                "--url",
                wanted.gateway,
                "--provider",
                wanted.provider,
                "--type",
                wanted.provider_type,
            ])
            .await;
        let mut machine = Self {
            home,
            environment: String::new(),
        };
        for setting in printed["settings"].as_array().unwrap() {
            machine.paste(setting, wanted.changes);
        }
        machine
    }

    fn paste(&mut self, setting: &Value, changes: &[(&str, &str)]) {
        let [place, text] = ["place", "text"].map(|field| setting[field].as_str().unwrap());
        let mut text = text.to_owned();
        for (from, to) in changes {
            assert!(text.contains(from), "{place} has no {from}:\n{text}");
            text = text.replace(from, to);
        }
        match place.strip_prefix("~/") {
            Some(file) => {
                let file = self.home.join(file);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, text).unwrap();
            }
            None => {
                assert_eq!(place, "environment", "a test can't write there");
                self.environment += &text;
            }
        }
    }

    /// A program as a shell on this machine starts it.
    pub(crate) fn command(&self, app: &App, program: &Command) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-ec", &format!("{}\nexec \"$@\"", self.environment), "sh"]);
        command.arg(program.get_program()).args(program.get_args());
        isolated(&mut command, app)
            .env("HOME", &self.home)
            .current_dir(&self.home);
        command
    }
}
