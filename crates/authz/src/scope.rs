//! What a token narrows its user's role to: `*`, `ai_gateway_key:*`, `ai_gateway_key:create`.

use crate::policy::{Action, Resource};
use std::collections::BTreeSet;

/// One allowance. `None` means the star.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    resource: Option<Resource>,
    action: Option<Action>,
}

/// Text that is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a scope: write *, <resource>:* or <resource>:<action>; resources are {}; actions are create, read, update, delete",
    resources()
)]
pub struct ScopeError;

fn resources() -> String {
    Resource::ALL.iter().map(|r| r.as_str()).collect::<Vec<_>>().join(", ")
}

impl Scope {
    fn covers(self, other: Self) -> bool {
        (self.resource.is_none() || self.resource == other.resource)
            && (self.action.is_none() || self.action == other.action)
    }
}

impl std::str::FromStr for Scope {
    type Err = ScopeError;
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        if text == "*" {
            return Ok(Self {
                resource: None,
                action: None,
            });
        }
        let (resource, action) = text.split_once(':').ok_or(ScopeError)?;
        let resource = Some(resource.parse().map_err(|_| ScopeError)?);
        let action = match action {
            "*" => None,
            word => Some(word.parse().map_err(|_| ScopeError)?),
        };
        Ok(Self { resource, action })
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.resource, self.action) {
            (None, _) => f.write_str("*"),
            (Some(resource), None) => write!(f, "{resource}:*"),
            (Some(resource), Some(action)) => write!(f, "{resource}:{action}"),
        }
    }
}

/// All that a token allows. Empty allows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// The star: everything the role allows.
    pub fn all() -> Self {
        Self(BTreeSet::from([Scope {
            resource: None,
            action: None,
        }]))
    }

    /// Whether one of the scopes allows this.
    pub fn allow(&self, action: Action, resource: Resource) -> bool {
        self.0.iter().any(|scope| {
            scope.covers(Scope {
                resource: Some(resource),
                action: Some(action),
            })
        })
    }

    /// Whether everything that `other` allows is allowed here too; a token can't make a wider one.
    pub fn cover(&self, other: &Self) -> bool {
        other
            .0
            .iter()
            .all(|theirs| self.0.iter().any(|ours| ours.covers(*theirs)))
    }

    /// The scopes as texts, sorted.
    pub fn to_texts(&self) -> Vec<String> {
        self.0.iter().map(Scope::to_string).collect()
    }

    /// Reads scopes from texts.
    pub fn from_texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, ScopeError> {
        texts
            .into_iter()
            .map(|text| text.as_ref().parse())
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_narrow_and_never_widen() {
        let keys = Scopes::from_texts(["ai_gateway_key:*", "token:read"]).unwrap();
        assert!(keys.allow(Action::Delete, Resource::AiGatewayKey));
        assert!(keys.allow(Action::Read, Resource::Token));
        assert!(!keys.allow(Action::Create, Resource::Token));
        assert!(Scopes::all().cover(&keys));
        assert!(!keys.cover(&Scopes::all()));
        assert!(!keys.cover(&Scopes::from_texts(["token:*"]).unwrap()));
        assert!(!Scopes::default().allow(Action::Read, Resource::User));
        assert_eq!(keys.to_texts(), ["token:read", "ai_gateway_key:*"]);
        for bad in ["", "token", "token:", ":read", "tokens:read", "token:write", "*:read"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad:?}");
        }
    }
}
