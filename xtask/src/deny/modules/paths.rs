//! Paths as source code writes them, and where they lead.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::UseTree;

/// A path from the crate's root, where `written` says by `crate`, `self` or `super` where it begins. Empty for the root itself.
pub(super) fn from_root(written: &[String], module: &[String]) -> Option<Vec<String>> {
    let mut at = match written.first()?.as_str() {
        "crate" | "$crate" => &[],
        "self" | "super" => module,
        _ => return None,
    };
    let mut rest = written;
    while let Some((first, after)) = rest.split_first() {
        match first.as_str() {
            "super" => at = at.split_last().map_or(at, |(_, outer)| outer),
            "crate" | "$crate" | "self" => {}
            _ => break,
        }
        rest = after;
    }
    let named = rest.iter().filter(|segment| *segment != "*");
    Some(at.iter().chain(named).cloned().collect())
}

/// One path of a `use`, and the name that it has from there on.
pub(super) struct Used {
    pub(super) path: Vec<String>,
    pub(super) name: String,
    pub(super) line: usize,
}

/// All paths of a `use`. That of a glob ends with a star.
pub(super) fn in_use(tree: &UseTree) -> Vec<Used> {
    let mut found = Vec::new();
    collect(tree, &[], &mut found);
    found
}

fn collect(tree: &UseTree, prefix: &[String], found: &mut Vec<Used>) {
    let (last, name, span) = match tree {
        UseTree::Path(path) => {
            let longer: Vec<_> = prefix.iter().cloned().chain([path.ident.to_string()]).collect();
            return collect(&path.tree, &longer, found);
        }
        UseTree::Group(group) => return group.items.iter().for_each(|item| collect(item, prefix, found)),
        UseTree::Name(used) => (used.ident.to_string(), used.ident.to_string(), used.ident.span()),
        UseTree::Rename(used) => (used.ident.to_string(), used.rename.to_string(), used.ident.span()),
        UseTree::Glob(glob) => ("*".to_owned(), "*".to_owned(), glob.star_token.span),
    };
    // `a::{self}` is a.
    let last = Some(last).filter(|last| last != "self" || prefix.is_empty());
    found.push(Used {
        path: prefix.iter().cloned().chain(last).collect(),
        name,
        line: line(Some(span)),
    });
}

/// The paths in the arguments of a macro or an attribute that begin with `crate`, `$crate`, `self` or `super`, also within
/// string literals, where derives take paths. Each with its line.
pub(super) fn in_tokens(tokens: TokenStream) -> Vec<(Vec<String>, usize)> {
    let mut found = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut begin = 0;
    let mut colons = 0;
    for token in tokens {
        match &token {
            TokenTree::Ident(ident) if path.is_empty() || colons == 2 => {
                if path.is_empty() {
                    begin = line(Some(ident.span()));
                }
                path.push(ident.to_string());
                colons = 0;
                continue;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() && colons < 2 => {
                colons += 1;
                continue;
            }
            _ => {}
        }
        found.push((std::mem::take(&mut path), begin));
        colons = 0;
        match token {
            TokenTree::Group(group) => found.extend(in_tokens(group.stream())),
            TokenTree::Ident(ident) => {
                begin = line(Some(ident.span()));
                path.push(ident.to_string());
            }
            TokenTree::Literal(literal) => {
                let at = line(Some(literal.span()));
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string())
                    && let Ok(quoted) = text.parse::<syn::Path>()
                {
                    let segments = quoted.segments.iter().map(|segment| segment.ident.to_string());
                    found.push((segments.collect(), at));
                }
            }
            TokenTree::Punct(_) => {}
        }
    }
    found.push((path, begin));
    found.retain(|(path, _)| path.len() > 1);
    found
}

pub(super) fn line(span: Option<Span>) -> usize {
    span.map_or(0, |span| span.start().line)
}
