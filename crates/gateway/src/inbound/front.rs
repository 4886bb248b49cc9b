//! What one listener serves: the data plane, and beside it whatever else there is.
//!
//! Requests under `/ai/` bypass the router, which would cost more than the rest of a small request.

use crate::access_log::AccessLog;
use crate::options::{HEAD_BYTES, Options};
use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use lychgate_types::Cidr;
use std::convert::Infallible;
use std::fmt::Debug;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use tower_service::Service as _;

/// A future answer.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// What answers under `/ai/`.
pub(crate) trait DataPlane: Debug + Send + Sync {
    /// Answers a request that comes from this address.
    fn answer(&self, request: Request<Body>, source: Option<IpAddr>) -> Answering;
}

/// The services behind a listener.
#[derive(Debug, Clone)]
pub struct Front {
    data_plane: Option<Arc<dyn DataPlane>>,
    rest: Router,
    pub(crate) trusted_proxies: Arc<[Cidr]>,
    pub(crate) access_log: Option<AccessLog>,
    /// Largest head of a request, in bytes.
    pub(crate) head_limit: usize,
}

impl Front {
    pub(crate) fn new(data_plane: impl DataPlane + 'static, rest: Router, options: &Options) -> Self {
        Self {
            data_plane: Some(Arc::new(data_plane)),
            rest,
            trusted_proxies: Arc::clone(&options.trusted_proxies),
            access_log: options.access_log.clone(),
            head_limit: options.head_limit,
        }
    }

    /// The data plane, if the path is one of its own.
    pub(crate) fn data_plane(&self, path: &str) -> Option<&dyn DataPlane> {
        self.data_plane.as_deref().filter(|_| path.starts_with("/ai/"))
    }

    /// Answers by whatever else there is.
    pub(crate) fn other(&self, request: Request<Body>) -> Answering {
        Box::pin(self.rest.clone().call(request))
    }
}

impl From<Router> for Front {
    fn from(rest: Router) -> Self {
        Self {
            data_plane: None,
            rest,
            trusted_proxies: Arc::default(),
            access_log: None,
            head_limit: HEAD_BYTES,
        }
    }
}
