//! What the audit log tells of a row before and after a change: its fields as texts, no secret among them. Only fields that differ are
//! kept, in bounded number and length.

use crate::engine::cut;
use crate::rows::ai_gateway_keys::GatewayKey;
use crate::rows::audit::AuditChange;
use crate::rows::providers::{Provider, ProviderRef};
use crate::rows::routes::{Route, RouteTarget};
use crate::rows::tokens::Token;
use crate::rows::users::User;
use lychgate_types::policy::ProviderPolicy;
use std::collections::BTreeMap;

/// A row's fields, as people call them.
pub(crate) type Facts = BTreeMap<String, String>;

/// Characters of one field's text.
const TEXT: usize = 300;
/// Fields of one change; a provider has the most, with all of its settings and its policy.
const FIELDS: usize = 64;

/// What differs. A field that is not there on one side was, or is, not set.
pub(crate) fn difference(before: &Facts, after: &Facts) -> AuditChange {
    let other = |those: &Facts, these: &Facts| -> Facts {
        let differ = those.iter().filter(|(field, text)| these.get(*field) != Some(*text));
        differ
            .take(FIELDS)
            .map(|(field, text)| (field.clone(), short(text)))
            .collect()
    };
    AuditChange {
        before: other(before, after),
        after: other(after, before),
    }
}

fn short(text: &str) -> String {
    let cut = cut(text, TEXT);
    if cut.len() < text.len() {
        format!("{cut}…")
    } else {
        text.to_owned()
    }
}

fn facts<const N: usize>(fields: [(&str, Option<String>); N]) -> Facts {
    let given = fields
        .into_iter()
        .filter_map(|(field, text)| Some((field.to_owned(), text?)));
    given.collect()
}

fn list<T>(values: &[T], text: impl Fn(&T) -> String) -> String {
    values.iter().map(text).collect::<Vec<_>>().join(", ")
}

pub(crate) fn of_user(user: &User) -> Facts {
    facts([
        ("username", Some(user.username.clone())),
        ("role", Some(user.role.as_str().to_owned())),
        ("display_name", user.display_name.clone()),
        ("email", user.email.clone()),
        ("state", Some(user.state.as_str().to_owned())),
    ])
}

pub(crate) fn of_token(token: &Token) -> Facts {
    facts([
        ("name", Some(token.name.clone())),
        ("user", Some(token.user.username.clone())),
        ("token_prefix", Some(token.secret_prefix.clone())),
        ("scopes", Some(token.scopes.to_texts().join(" "))),
        ("expires_at", token.expires_at.map(|at| at.to_string())),
    ])
}

pub(crate) fn of_key(key: &GatewayKey) -> Facts {
    facts([
        ("name", Some(key.name.clone())),
        ("key_prefix", Some(key.secret_prefix.clone())),
        ("description", key.description.clone()),
        ("expires_at", key.expires_at.map(|at| at.to_string())),
        ("disabled", Some(key.disabled_at.is_some().to_string())),
        (
            "previous_valid_until",
            key.previous_valid_until.map(|at| at.to_string()),
        ),
        (
            "providers",
            key.providers
                .as_ref()
                .map(|all| list(all, |provider| provider.name.clone())),
        ),
        (
            "allowed_cidrs",
            key.allowed_cidrs.as_ref().map(|all| list(all, ToString::to_string)),
        ),
    ])
}

pub(crate) fn of_provider(provider: &Provider) -> Facts {
    let mut facts = facts([
        ("name", Some(provider.name.clone())),
        ("type", Some(provider.provider_type.as_str().to_owned())),
        ("base_url", Some(provider.base_url.clone())),
        ("enabled", Some(provider.enabled.to_string())),
        ("allow_private", Some(provider.allow_private.to_string())),
        // With their ids: two keys may look alike.
        (
            "keys",
            Some(list(&provider.keys, |key| format!("{} ({})", key.masked, key.id))),
        ),
    ]);
    let settings = provider.settings.iter();
    facts.extend(settings.map(|(name, value)| (format!("settings.{name}"), value.to_owned())));
    facts.extend(of_policy(&provider.policy));
    facts
}

/// Of a provider that is not there: a policy that says nothing.
pub(crate) fn of_no_provider() -> Facts {
    of_policy(&ProviderPolicy::default())
}

fn of_policy(policy: &ProviderPolicy) -> Facts {
    let settings = ProviderPolicy::settings().into_iter().zip(policy.values());
    settings
        .map(|(setting, value)| (format!("policy.{}", setting.field), value.to_string()))
        .collect()
}

pub(crate) fn of_route(route: &Route) -> Facts {
    facts([
        ("name", Some(route.name.clone())),
        ("provider", Some(route.provider.name.clone())),
        ("model", Some(route.model.clone())),
        ("enabled", Some(route.enabled.to_string())),
        (
            "targets",
            Some(list(&route.targets, |to| format!("{}:{}", place(to), to.weight))),
        ),
        ("fallbacks", Some(list(&route.fallbacks, place))),
    ])
}

fn place(target: &RouteTarget) -> String {
    let ProviderRef { name, .. } = &target.provider;
    match &target.model {
        Some(model) => format!("{name}={model}"),
        None => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_kept_and_all_of_it_is_bounded() {
        let of = |fields: &[(&str, &str)]| -> Facts {
            fields
                .iter()
                .map(|(field, text)| ((*field).to_owned(), (*text).to_owned()))
                .collect()
        };
        let change = difference(
            &of(&[("a", "1"), ("b", "2"), ("c", "3")]),
            &of(&[("a", "1"), ("b", "4"), ("d", "5")]),
        );
        assert_eq!(
            (change.before, change.after),
            (of(&[("b", "2"), ("c", "3")]), of(&[("b", "4"), ("d", "5")]))
        );
        let many: Facts = (0..1000)
            .map(|at| (format!("field-{at:03}"), "é".repeat(5000)))
            .collect();
        let change = difference(&Facts::new(), &many);
        assert_eq!(change.after.len(), FIELDS);
        assert!(change.after.values().all(|text| text.chars().count() == TEXT + 1));
    }
}
