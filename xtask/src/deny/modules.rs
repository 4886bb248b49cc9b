//! What the top-level modules of a crate import from each other, read from its source with `syn`.
//!
//! A top-level module is a file `x.rs` with its folder `x/`. `lib.rs` is none: a path to one of its re-exports leads to the module
//! that the item comes from. Code that only tests compile does not count.
//!
//! Not seen: what a macro names when it is expanded, unless the path stands in its definition or in its arguments.

mod attributes;
mod paths;

use anyhow::{Context as _, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

pub(super) use attributes::ships;

/// One path in the source that leads to another top-level module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// Relative to the repository's root.
    pub(super) file: PathBuf,
    pub(super) line: usize,
    /// As it would be written from the crate's root.
    pub(super) path: String,
}

/// For each top-level module those that it imports, and where.
pub(super) type Imports = BTreeMap<String, BTreeMap<String, Vec<Import>>>;

/// Reads the crate in the folder `krate`, which is relative to `root`.
pub(super) fn imports(root: &Path, krate: &Path) -> anyhow::Result<Imports> {
    let source = krate.join("src");
    let mut reader = Reader {
        root: root.to_owned(),
        file: source.join("lib.rs"),
        folder: source.clone(),
        module: Vec::new(),
        named: Vec::new(),
        exports: BTreeMap::new(),
        modules: BTreeSet::new(),
        failure: None,
    };
    reader.read_file()?;
    if let Some(failure) = reader.failure {
        return Err(failure);
    }
    let mut imports: Imports = reader
        .modules
        .iter()
        .map(|module| (module.clone(), BTreeMap::new()))
        .collect();
    if let Some(module) = reader.exports.get("*") {
        bail!("{}/lib.rs re-exports all of {module}: name the items", source.display());
    }
    for Named { from, path, import } in reader.named {
        let Some(first) = path.first() else {
            bail!(
                "{}:{}: `{}` hides what it imports: name the items",
                import.file.display(),
                import.line,
                import.path
            );
        };
        // What the root itself defines belongs to no module.
        let to = reader.exports.get(first).unwrap_or(first);
        if reader.modules.contains(to) && *to != from {
            imports
                .entry(from)
                .or_default()
                .entry(to.clone())
                .or_default()
                .push(import);
        }
    }
    Ok(imports)
}

/// A path that begins at the crate's root, and the top-level module that it stands in. An empty path is the root itself.
struct Named {
    from: String,
    path: Vec<String>,
    import: Import,
}

/// Walks from a file to the files of the modules that it declares.
struct Reader {
    root: PathBuf,
    /// What is being read.
    file: PathBuf,
    /// Where the files of its child modules are.
    folder: PathBuf,
    /// The module's path from the crate's root.
    module: Vec<String>,
    named: Vec<Named>,
    /// What can be named from the crate's root without being a module there, and the module that it comes from.
    exports: BTreeMap<String, String>,
    modules: BTreeSet<String>,
    failure: Option<anyhow::Error>,
}

impl Reader {
    fn read_file(&mut self) -> anyhow::Result<()> {
        let path = self.root.join(&self.file);
        let text = std::fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("can't parse {}", path.display()))?;
        if ships(&parsed.attrs) {
            self.visit_file(&parsed);
        }
        Ok(())
    }

    fn read_module(&mut self, name: &str) -> anyhow::Result<()> {
        let inside = self.folder.join(name);
        let candidates = [self.folder.join(format!("{name}.rs")), inside.join("mod.rs")];
        let file = candidates
            .into_iter()
            .find(|file| self.root.join(file).is_file())
            .with_context(|| format!("{} declares {name}, which has no file", self.file.display()))?;
        let outer = (
            std::mem::replace(&mut self.file, file),
            std::mem::replace(&mut self.folder, inside),
        );
        let read = self.read_file();
        (self.file, self.folder) = outer;
        read
    }

    /// Notes a path as it is written: `crate`, `self` and `super` say where it begins, anything else stays within the module
    /// or was imported into it.
    fn note(&mut self, written: &[String], line: usize) {
        let Some(path) = paths::from_root(written, &self.module) else {
            return;
        };
        let Some(from) = self.module.first() else {
            return;
        };
        let import = Import {
            file: self.file.clone(),
            line,
            path: format!("crate::{}", path.join("::")),
        };
        self.named.push(Named {
            from: from.clone(),
            path,
            import,
        });
    }

    fn note_tokens(&mut self, tokens: proc_macro2::TokenStream) {
        for (path, line) in paths::in_tokens(tokens) {
            self.note(&path, line);
        }
    }

    /// In `lib.rs`: what `use` makes of an item of a module an item of the root.
    fn export(&mut self, item: &syn::ItemUse) {
        for used in paths::in_use(&item.tree) {
            let path = paths::from_root(&used.path, &[]).unwrap_or(used.path);
            if let [module, .., _] = path.as_slice() {
                self.exports.insert(used.name, module.clone());
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if ships(attributes::of_item(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        if ships(attributes::of_impl_item(item)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if ships(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if ships(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let name = item.ident.to_string();
        if self.module.is_empty() {
            self.modules.insert(name.clone());
        }
        self.module.push(name.clone());
        if item.content.is_some() {
            let inside = self.folder.join(&name);
            let outer = std::mem::replace(&mut self.folder, inside);
            visit::visit_item_mod(self, item);
            self.folder = outer;
        } else if let Err(error) = self.read_module(&name) {
            self.failure.get_or_insert(error);
        }
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if self.module.is_empty() {
            self.export(item);
            return;
        }
        for used in paths::in_use(&item.tree) {
            self.note(&used.path, used.line);
        }
    }

    /// `#[macro_export]` puts a macro into the root, wherever it stands.
    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        let exported = item
            .attrs
            .iter()
            .any(|attribute| attribute.path().is_ident("macro_export"));
        if let (true, Some(name), Some(module)) = (exported, &item.ident, self.module.first()) {
            self.exports.insert(name.to_string(), module.clone());
        }
        visit::visit_item_macro(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let line = paths::line(path.segments.first().map(|segment| segment.ident.span()));
        let written: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if path.leading_colon.is_none() {
            self.note(&written, line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        self.note_tokens(invoked.tokens.clone());
        visit::visit_macro(self, invoked);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.note_tokens(list.tokens.clone());
        }
    }

    /// `pub(crate)` and its like import nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

#[cfg(test)]
mod tests;
