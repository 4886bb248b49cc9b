//! Holds `docs/checklists.md`, "Add a provider type": no product code but what it lists names a provider type.

#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use lychgate_types::provider::ProviderType;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Code that takes some type as an example; a new type changes nothing there.
const EXAMPLES: &[&str] = &[
    "crates/control/src/api/routes/providers/create.rs", // the API document's example
    "crates/control/src/simulation/",
    "crates/gateway/src/testing.rs",
    "crates/testkit/",
];
/// Where every type has its entry.
const ENTRIES: [&str; 2] = ["crates/types/src/provider.rs", "crates/wire/src/providers.rs"];
/// More files than these outside of the type's own folder would be too many.
const MOST_FILES: usize = 3;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The paths of product code that the checklist names.
fn listed() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("docs/checklists.md")).unwrap();
    let (_, section) = text.split_once("\n## Add a provider type\n").unwrap();
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let quoted = section.split('`').skip(1).step_by(2);
    let product = quoted.filter(|path| path.starts_with("crates/") && path.contains("/src/"));
    product.map(str::to_owned).collect()
}

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file of the crates, by its path in the repository, without its tests.
fn product_code() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for krate in fs::read_dir(root().join("crates")).unwrap() {
        rust_files(&krate.unwrap().path().join("src"), &mut files);
    }
    let product = files.into_iter().map(|path| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code = code
            .split("#[cfg(test)]\npub(crate) mod tests {")
            .next()
            .unwrap_or_default();
        (name, code.to_owned())
    });
    let product = product.filter(|(name, _)| !name.ends_with("/tests.rs") && !name.contains("/tests/"));
    product.collect()
}

/// Whether code names this type, by its variant or by its text.
fn names(code: &str, provider_type: ProviderType) -> bool {
    let variant = format!("{provider_type:?}");
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let by_variant = code
        .match_indices(&format!("ProviderType::{variant}"))
        .any(|(at, found)| {
            let after = code.as_bytes().get(at + found.len());
            !is_word(after)
        });
    by_variant || code.contains(&format!("\"{provider_type}\""))
}

#[test]
fn only_what_the_checklist_lists_names_a_provider_type() {
    let listed = listed();
    let is_listed = |name: &str| {
        let mut paths = listed.iter().map(|path| path.split('<').next().unwrap_or_default());
        paths.any(|path| name == path || (path.ends_with('/') && name.starts_with(path)))
    };
    let code = product_code();
    assert!(code.len() > 200, "the tree was found");
    for provider_type in ProviderType::ALL {
        let mut entries = 0;
        for (name, code) in &code {
            if names(code, *provider_type) {
                entries += usize::from(ENTRIES.contains(&name.as_str()));
                let is_example = EXAMPLES.iter().any(|path| name.starts_with(path));
                assert!(
                    is_example || is_listed(name),
                    "{name} names the provider type {provider_type}; say what differs in its description, or list the file \
                     in docs/checklists.md"
                );
            }
        }
        assert_eq!(entries, ENTRIES.len(), "the entries of {provider_type}");
    }
}

#[test]
fn the_checklist_is_short_and_what_it_lists_is_there() {
    let listed = listed();
    for path in &listed {
        let example = path.replace("<type>", "openai").replace("<family>", "openai");
        assert!(root().join(&example).exists(), "{path}");
    }
    let optional = [
        "crates/lychgate/src/roles/dev/providers.rs",
        "crates/lychgate/src/commands/clients/",
    ];
    assert!(optional.iter().all(|path| listed.contains(*path)));
    let outside = listed
        .iter()
        .filter(|path| !path.contains('<') && !optional.contains(&path.as_str()));
    assert!(outside.count() <= MOST_FILES, "{listed:?}");
}
