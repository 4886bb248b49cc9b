//! What one listener serves: the data plane, and beside it whatever else there is.
//!
//! Requests under `/ai/` go to the data plane past the router, whose bookkeeping costs more than a small request's own.

use crate::harness::baseline::Relay;
use crate::inbound::stack::Stack;
use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use std::convert::Infallible;
use std::pin::Pin;
use tower_service::Service as _;

/// An answer under way.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// The services behind a listener.
#[derive(Debug, Clone)]
pub struct Front {
    data_plane: Option<DataPlane>,
    rest: Router,
}

/// What answers under `/ai/`.
#[derive(Debug, Clone)]
pub(crate) enum DataPlane {
    /// The product's.
    Whole(Stack),
    /// The bench's.
    Bare(Relay),
}

impl DataPlane {
    pub(crate) fn answer(&self, request: Request<Body>) -> Answering {
        match self {
            Self::Whole(stack) => stack.answer(request),
            Self::Bare(relay) => relay.answer(request),
        }
    }
}

impl Front {
    pub(crate) fn new(data_plane: DataPlane, rest: Router) -> Self {
        Self {
            data_plane: Some(data_plane),
            rest,
        }
    }

    /// The data plane, if the path is one of its.
    pub(crate) fn data_plane(&self, path: &str) -> Option<&DataPlane> {
        self.data_plane.as_ref().filter(|_| path.starts_with("/ai/"))
    }

    pub(crate) fn other(&self, request: Request<Body>) -> Answering {
        Box::pin(self.rest.clone().call(request))
    }
}

impl From<Router> for Front {
    fn from(rest: Router) -> Self {
        Self { data_plane: None, rest }
    }
}
