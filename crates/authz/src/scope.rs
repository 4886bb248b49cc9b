//! What a token narrows its user's role to: `*`, `ai_gateway_key:*`, `ai_gateway_key:create`, `interception:read:own`.

use crate::policy::{Action, Reach, Resource};
use std::collections::BTreeSet;

/// One allowance. `None` means the star.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    resource: Option<Resource>,
    action: Option<Action>,
    /// Only for what belongs to the token's user.
    is_own: bool,
}

/// Text that is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a scope: write *, <resource>:* or <resource>:<action>, the last two with :own for what belongs to the user alone; resources are {}; actions are create, read, update, delete",
    resources()
)]
pub struct ScopeError;

fn resources() -> String {
    Resource::ALL.iter().map(|r| r.as_str()).collect::<Vec<_>>().join(", ")
}

impl Scope {
    const ALL: Self = Self {
        resource: None,
        action: None,
        is_own: false,
    };

    fn covers(self, other: Self) -> bool {
        (self.resource.is_none() || self.resource == other.resource)
            && (self.action.is_none() || self.action == other.action)
            && (!self.is_own || other.is_own)
    }
}

impl std::str::FromStr for Scope {
    type Err = ScopeError;
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        if text == "*" {
            return Ok(Self::ALL);
        }
        let (text, is_own) = match text.strip_suffix(":own") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let (resource, action) = text.split_once(':').ok_or(ScopeError)?;
        let resource = Some(resource.parse().map_err(|_| ScopeError)?);
        let action = match action {
            "*" => None,
            word => Some(word.parse().map_err(|_| ScopeError)?),
        };
        Ok(Self {
            resource,
            action,
            is_own,
        })
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.resource, self.action) {
            (None, _) => f.write_str("*"),
            (Some(resource), None) => write!(f, "{resource}:*"),
            (Some(resource), Some(action)) => write!(f, "{resource}:{action}"),
        }?;
        f.write_str(if self.is_own { ":own" } else { "" })
    }
}

/// All that a token allows. Empty allows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// The star: everything the role allows.
    pub fn all() -> Self {
        Self(BTreeSet::from([Scope::ALL]))
    }

    /// What an AI client needs, for a token of which nothing else is said: requests, and the records of its own user's.
    pub fn of_an_ai_client() -> Self {
        let scope = |resource, action, is_own| Scope {
            resource: Some(resource),
            action: Some(action),
            is_own,
        };
        Self(BTreeSet::from([
            scope(Resource::AiRequest, Action::Create, false),
            scope(Resource::Interception, Action::Read, true),
        ]))
    }

    /// How far they let the role's right to do this reach.
    pub(crate) fn reach(&self, action: Action, resource: Resource) -> Reach {
        let covered = |is_own| {
            let wanted = Scope {
                resource: Some(resource),
                action: Some(action),
                is_own,
            };
            self.0.iter().any(|scope| scope.covers(wanted))
        };
        match (covered(false), covered(true)) {
            (true, _) => Reach::Any,
            (false, true) => Reach::Own,
            (false, false) => Reach::None,
        }
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
        assert_eq!(keys.reach(Action::Delete, Resource::AiGatewayKey), Reach::Any);
        assert_eq!(keys.reach(Action::Read, Resource::Token), Reach::Any);
        assert_eq!(keys.reach(Action::Create, Resource::Token), Reach::None);
        assert!(Scopes::all().cover(&keys));
        assert!(!keys.cover(&Scopes::all()));
        assert!(!keys.cover(&Scopes::from_texts(["token:*"]).unwrap()));
        assert_eq!(Scopes::default().reach(Action::Read, Resource::User), Reach::None);
        let own = Scopes::from_texts(["token:*:own", "user:read:own"]).unwrap();
        assert_eq!(own.reach(Action::Create, Resource::Token), Reach::Own);
        assert!(
            Scopes::from_texts(["token:*"])
                .unwrap()
                .cover(&Scopes::from_texts(["token:read:own"]).unwrap())
        );
        assert!(!own.cover(&Scopes::from_texts(["token:read"]).unwrap()));
        assert_eq!(own.to_texts(), ["user:read:own", "token:*:own"]);
        assert_eq!(
            Scopes::of_an_ai_client().to_texts(),
            ["interception:read:own", "ai_request:create"]
        );
        assert_eq!(keys.to_texts(), ["token:read", "ai_gateway_key:*"]);
        for bad in [
            "",
            "token",
            "token:",
            ":read",
            "tokens:read",
            "token:write",
            "*:read",
            "*:own",
            "token:own",
            "token:read:any",
        ] {
            assert!(bad.parse::<Scope>().is_err(), "{bad:?}");
        }
    }
}
