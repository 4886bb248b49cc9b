//! Which code ships, by its `cfg` attributes.

use syn::punctuated::Punctuated;
use syn::{Attribute, ImplItem, Item, Meta, Token};

/// Whether code with these attributes is compiled in any build other than for tests and fuzzing.
pub(in crate::deny) fn ships(attributes: &[Attribute]) -> bool {
    let mut conditions = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    conditions.all(|condition| condition.parse_args().map_or(true, |meta| may_hold(&meta)))
}

/// Whether a condition can hold where neither `test` nor `fuzzing` does.
fn may_hold(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => !path.is_ident("test") && !path.is_ident("fuzzing"),
        Meta::NameValue(_) => true,
        Meta::List(list) => {
            let parse = Punctuated::<Meta, Token![,]>::parse_terminated;
            let Ok(inner) = list.parse_args_with(parse) else {
                return true;
            };
            if list.path.is_ident("all") {
                inner.iter().all(may_hold)
            } else if list.path.is_ident("any") {
                inner.iter().any(may_hold)
            } else {
                true // `not(test)` holds, and of others nothing is known.
            }
        }
    }
}

pub(super) fn of_item(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

pub(super) fn of_impl_item(item: &ImplItem) -> &[Attribute] {
    match item {
        ImplItem::Const(item) => &item.attrs,
        ImplItem::Fn(item) => &item.attrs,
        ImplItem::Type(item) => &item.attrs,
        ImplItem::Macro(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_conditions_that_need_a_test_or_a_fuzzer_keep_code_from_shipping() {
        for (attributes, ships) in [
            ("", true),
            ("#[cfg(test)]", false),
            ("#[cfg(any(test, fuzzing))]", false),
            ("#[cfg(all(test, unix))]", false),
            ("#[cfg(any(test, feature = \"harness\"))]", true),
            ("#[cfg(not(test))]", true),
            ("#[cfg(unix)] #[cfg(test)]", false),
            ("#[test]", true),
        ] {
            let item: syn::ItemFn = syn::parse_str(&format!("{attributes} fn f() {{}}")).unwrap();
            assert_eq!(super::ships(&item.attrs), ships, "{attributes}");
        }
    }
}
