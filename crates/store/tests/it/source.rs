//! The store's own source, for tests that hold all of it to a rule.

use std::path::Path;

/// The files below `src`, as paths from there, each with its text.
pub(crate) fn files() -> Vec<(String, String)> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// A public method of the store.
pub(crate) struct Method {
    pub(crate) name: String,
    pub(crate) takes_caller: bool,
}

/// All of them, by name.
pub(crate) fn store_methods() -> Vec<Method> {
    let mut methods = Vec::new();
    for (_, text) in files() {
        for block in text.split("\nimpl Store {\n").skip(1) {
            let block = block.split("\n}\n").next().unwrap();
            let starts = ["\n    pub fn ", "\n    pub async fn "];
            for rest in starts.iter().flat_map(|start| {
                format!("\n{block}")
                    .split(start)
                    .skip(1)
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            }) {
                let name = rest.split(['(', '<']).next().unwrap().to_owned();
                let signature = rest.split('{').next().unwrap();
                methods.push(Method {
                    name,
                    takes_caller: signature.contains("caller: &Caller"),
                });
            }
        }
    }
    methods.sort_by(|a, b| a.name.cmp(&b.name));
    methods
}
