//! Holds `docs/checklists.md`, "Add a policy setting" and "Add a link message": the code that names an existing setting, message or
//! call is in the files that the checklist lists, and in no others.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use lychgate_types::policy::{ProviderPolicy, Takes};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// The source files of all crates by their paths in the repository, without tests and generated code.
fn product_code() -> Vec<(String, String)> {
    let mut folders: Vec<_> = std::fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|krate| krate.unwrap().path().join("src"))
        .collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let is_code = name.ends_with(".rs") && !name.ends_with("tests.rs") && !name.contains("/generated/");
            if is_code {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                files.push((name, code.to_owned()));
            }
        }
    }
    files
}

/// The files with code that has one of these texts in it.
fn files_with<'a>(code: &'a [(String, String)], texts: &[String]) -> BTreeSet<&'a str> {
    let has_one = |text: &&(String, String)| texts.iter().any(|wanted| text.1.contains(wanted));
    code.iter().filter(has_one).map(|(name, _)| name.as_str()).collect()
}

/// The paths that a section lists after a word in bold, or (`None`) all of them.
fn listed(section: &str, bold: Option<&str>) -> BTreeSet<String> {
    let text = read("docs/checklists.md");
    let (_, section) = text.split_once(&format!("\n## {section}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let part = match bold {
        Some(bold) => section.split_once(&format!("\n**{bold}:**")).unwrap().1,
        None => section,
    };
    let part = if bold.is_some() {
        part.split("\n**").next().unwrap()
    } else {
        part
    };
    let quoted = part.split('`').skip(1).step_by(2);
    let paths: BTreeSet<_> = quoted
        .filter(|path| path.starts_with("crates/"))
        .map(str::to_owned)
        .collect();
    for path in &paths {
        assert!(
            root().join(path).exists(),
            "the checklist lists {path}, which does not exist"
        );
    }
    paths
}

/// Whether a file is in the list, by itself or by its folder.
fn is_listed(listed: &BTreeSet<String>, file: &str) -> bool {
    listed
        .iter()
        .any(|path| path == file || path.ends_with('/') && file.starts_with(path.as_str()))
}

/// Each of these is used in every listed file, and nowhere else.
#[track_caller]
fn hold(listed: &BTreeSet<String>, code: &[(String, String)], name: &str, texts: &[String]) {
    let used = files_with(code, texts);
    for file in &used {
        assert!(
            is_listed(listed, file),
            "{name} is in {file}, which the checklist does not list"
        );
    }
    let whole_files = listed
        .iter()
        .filter(|path| path.ends_with(".rs") && path.contains("/src/"));
    for path in whole_files {
        assert!(
            used.contains(path.as_str()),
            "the checklist lists {path}, but {name} is not in it"
        );
    }
}

#[test]
fn a_policy_setting_touches_what_its_checklist_lists() {
    let (listed, code) = (listed("Add a policy setting", None), product_code());
    let proto = read("crates/link/proto/link.proto");
    for setting in ProviderPolicy::settings() {
        let Some((_, field)) = setting.field.split_once('.') else {
            continue;
        };
        // Declared as a line of its group, then used as a field of it.
        let kind = match setting.takes {
            Takes::Whole(_) => "u32".to_owned(),
            Takes::Flag => "bool".to_owned(),
            Takes::Word(_) => camel(field),
        };
        let texts = [format!("        {field}: {kind} = "), format!(".{}", setting.field)];
        hold(&listed, &code, setting.field, &texts);
        assert!(proto.contains(field), "{field}");
        // A folder is listed for what replicas do with it: any file of it will do, but one must.
        let as_field = format!(".{field}");
        let read = |text: &str| {
            let uses = text
                .match_indices(&as_field)
                .map(|(at, found)| &text[at + found.len()..]);
            let word = |c: char| c.is_alphanumeric() || c == '_';
            uses.into_iter().any(|rest| !rest.starts_with(word))
        };
        let by_a_replica = code
            .iter()
            .any(|(path, text)| path.starts_with("crates/gateway/src/") && read(text));
        assert!(by_a_replica, "no file of crates/gateway/src reads {}", setting.field);
    }
}

#[test]
fn a_link_message_touches_what_its_checklist_lists() {
    let (listed, code) = (
        listed("Add a link message", Some("A message to attached replicas")),
        product_code(),
    );
    let own = ["crates/link/src/link.rs", "crates/control/src/state/attachments.rs"];
    for path in own {
        assert!(listed.contains(path), "{path}");
    }
    // In the first it is declared, in the other it is posted by a method of the mailbox.
    let listed: BTreeSet<_> = listed
        .into_iter()
        .filter(|path| !own.contains(&path.as_str()))
        .collect();
    let code: Vec<_> = code
        .into_iter()
        .filter(|(name, _)| !own.contains(&name.as_str()))
        .collect();
    for message in ["TokensRevoked", "Drain"] {
        hold(&listed, &code, message, &[format!("Message::{message}")]);
    }
}

#[test]
fn a_link_call_touches_what_its_checklist_lists() {
    let (listed, code) = (listed("Add a link message", Some("A call")), product_code());
    for (call, response) in [("authorize", "AuthorizeResponse"), ("deliver", "DeliverResponse")] {
        let texts = [
            format!("async fn {call}(&self"),
            format!("fn {call}(\n"),
            format!("wire::{response}> for"),
            format!("for wire::{response}"),
        ];
        hold(&listed, &code, call, &texts);
    }
}

/// `stream_usage` as the name of a type: `StreamUsage`.
fn camel(field: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    field.split('_').map(capital).collect()
}
