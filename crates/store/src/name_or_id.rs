//! How a caller names a row: by its id or by its name.

use lychgate_types::{GatewayKeyId, Id, ProviderId, RouteId, UserId};

/// An id or a name. A text that can be read as an id is looked up as both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameOrId<I> {
    id: Option<I>,
    /// In lower case, as names are stored; empty where only an id was given, which is nobody's name.
    name: String,
}

impl<I: Id> NameOrId<I> {
    pub(crate) const fn id(&self) -> Option<I> {
        self.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl<I: std::str::FromStr> From<&str> for NameOrId<I> {
    fn from(text: &str) -> Self {
        Self {
            id: text.parse().ok(),
            name: text.to_ascii_lowercase(),
        }
    }
}

impl<I: std::str::FromStr> From<&String> for NameOrId<I> {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

macro_rules! from_id {
    ($($id:ty),*) => { $(
        impl From<$id> for NameOrId<$id> {
            fn from(id: $id) -> Self {
                Self { id: Some(id), name: String::new() }
            }
        }
    )* };
}
from_id!(GatewayKeyId, ProviderId, RouteId, UserId);
