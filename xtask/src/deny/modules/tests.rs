//! A crate in a scratch directory, and what its modules import.

use super::*;

/// `path`, text: files below `src/`.
fn arrows(files: &[(&str, &str)]) -> anyhow::Result<Vec<String>> {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join("it/src").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut arrows = Vec::new();
    for (from, imported) in imports(root.path(), Path::new("it"))? {
        for (to, imports) in imported {
            for import in imports {
                let file = import.file.strip_prefix("it/src").unwrap();
                arrows.push(format!(
                    "{from} → {to}  {}:{} {}",
                    file.display(),
                    import.line,
                    import.path
                ));
            }
        }
    }
    Ok(arrows)
}

/// What module `a` imports, which has this text, where `b` is the crate's other module.
fn of_a(text: &str) -> Vec<String> {
    let lib =
        "mod a;\nmod b;\npub use b::Exported;\npub use b::inner::{self as renamed, Deep as Other};\nfn own() {}\n";
    arrows(&[("lib.rs", lib), ("a.rs", text), ("b.rs", "")])
        .unwrap()
        .iter()
        .map(|arrow| arrow.strip_prefix("a → b  a.rs:").unwrap().to_owned())
        .collect()
}

#[test]
fn uses_and_paths_lead_to_other_modules() {
    assert_eq!(of_a("use crate::b::X;"), ["1 crate::b::X"]);
    assert_eq!(of_a("use crate::{b, a::Y};"), ["1 crate::b"]);
    assert_eq!(of_a("use super::b::{self, X};"), ["1 crate::b", "1 crate::b::X"]);
    assert_eq!(of_a("use crate::b::*;"), ["1 crate::b"]);
    assert_eq!(of_a("\nfn f(x: crate::b::X) {}"), ["2 crate::b::X"]);
    assert_eq!(of_a("fn f() { crate::b::f::<u8>() }"), ["1 crate::b::f"]);
    assert_eq!(of_a("mod c { use super::super::b::X; }"), ["1 crate::b::X"]);
    assert_eq!(of_a("fn f() { use crate::b::X; }"), ["1 crate::b::X"]);
}

#[test]
fn macros_and_attributes_are_read() {
    assert_eq!(of_a("fn f() { println!(\"{}\", crate::b::X) }"), ["1 crate::b::X"]);
    assert_eq!(of_a("fn f() { m! { if x { y: super::b::f() } } }"), ["1 crate::b::f"]);
    assert_eq!(of_a("macro_rules! m { () => { $crate::b::X } }"), ["1 crate::b::X"]);
    assert_eq!(of_a("#[serde(with = \"crate::b\")] struct S;"), ["1 crate::b"]);
    assert_eq!(of_a("struct S { #[serde(with = \"crate::b\")] x: u8 }"), ["1 crate::b"]);
    assert_eq!(of_a("/// [`crate::b::X`]\nfn f() {}"), [""; 0]);
}

#[test]
fn a_re_export_leads_to_where_the_item_comes_from() {
    assert_eq!(of_a("use crate::Exported;"), ["1 crate::Exported"]);
    assert_eq!(
        of_a("use super::{Other, renamed::X};"),
        ["1 crate::Other", "1 crate::renamed::X"]
    );
    assert_eq!(of_a("use crate::own;"), [""; 0]);
    assert_eq!(of_a("use crate::Deep;"), [""; 0]);
}

#[test]
fn the_own_module_other_crates_and_tests_do_not_count() {
    for text in [
        "use crate::a::X;",
        "use self::c::X; mod c { use super::X; }",
        "use b::X;",
        "pub(crate) fn f() {}",
        "pub(in crate::b) fn f() {}",
        "#[cfg(test)] mod tests { use crate::b::X; }",
        "#[cfg(any(test, fuzzing))] use crate::b::X;",
        "impl S { #[cfg(test)] fn f() { crate::b::f() } }",
        "fn f() { #[cfg(test)] let x = crate::b::f(); }",
    ] {
        assert_eq!(of_a(text), [""; 0], "{text}");
    }
}

#[test]
fn files_in_folders_belong_to_the_module_above() {
    let found = arrows(&[
        (
            "lib.rs",
            "mod a;\n#[cfg(test)]\nmod testing;\nmod b { use crate::a::X; }",
        ),
        ("a.rs", "mod c;\n#[cfg(test)]\nmod tests;"),
        ("a/c.rs", "mod d;"),
        ("a/c/d.rs", "use super::super::super::b::X;\nuse super::super::Y;"),
    ]);
    assert_eq!(
        found.unwrap(),
        ["a → b  a/c/d.rs:1 crate::b::X", "b → a  lib.rs:4 crate::a::X"]
    );
}

#[test]
fn what_can_not_be_followed_is_an_error() {
    let error = |a: &str, lib: &str| {
        let error = arrows(&[("lib.rs", lib), ("a.rs", a), ("b.rs", "")]).unwrap_err();
        format!("{error:#}")
    };
    assert!(error("use super::*;", "mod a;").contains("a.rs:1: `crate::` hides"));
    assert!(error("", "mod a; mod b; pub use b::*;").contains("re-exports all of b"));
    assert!(error("mod c;", "mod a;").contains("declares c, which has no file"));
    assert!(error("fn f( {}", "mod a;").contains("can't parse"));
}
