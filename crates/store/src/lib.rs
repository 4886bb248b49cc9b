//! The only door to data: SQLite and PostgreSQL behind one set of methods on [`Store`].
//!
//! Each public method takes the [`lychgate_authz::Caller`] first and authorises on its first line; a mutation writes its
//! audit entry in the same transaction, and a refused one leaves an entry with the outcome `denied`.
//!
//! *Architecture invariants:* SQL texts live in `sql/` and are unreachable from outside. What only one engine can do stands
//! in `engine`. No row type has a field for a secret or the hash of a gateway key. Nothing here knows HTTP.

mod ai_gateway_keys;
mod audit;
mod changes;
mod configuration;
mod connect;
mod engine;
mod error;
mod guard;
mod housekeeping;
mod idempotency;
mod interceptions;
mod master_key;
mod page;
mod providers;
mod replicas;
mod routes;
pub mod seal;
mod sql;
mod tokens;
mod url;
mod users;

pub use ai_gateway_keys::rotate::{GatewayKeyRotation, KeyExpiry};
pub use ai_gateway_keys::update::GatewayKeyPatch;
pub use ai_gateway_keys::{AiGatewayKeyInsert, GatewayKey, KeyAuthentication, KeyFilter, KeyState, SecretState};
pub use audit::{ActorKind, AuditEntry, AuditFilter, AuditInsert, AuditOutcome};
pub use changes::{Change, ChangeListener, Changes, RevokedTokens};
pub use configuration::{SealedConfiguration, SealedProvider};
pub use connect::{Store, schema_id};
pub use error::{
    ConnectError, Constraint, Internal, RouteMisfit, RouteMisfitReason, RoutePlace, RuleBroken, StoreError,
};
pub use housekeeping::Housekeeping;
pub use idempotency::{Idempotency, Operation, RememberedAnswer};
pub use interceptions::ingest::{IngestReport, ReplicaStamp};
pub use interceptions::{InterceptionDetail, InterceptionFilter, InterceptionSummary, TokenSums};
pub use page::{Cursor, CursorError, Listing, Page};
pub use providers::update::{ProviderPatch, WantedKey};
pub use providers::{Provider, ProviderInsert, ProviderKey, ProviderKeyInsert, ProviderRef};
pub use replicas::{
    KeyRef, LOST_AFTER, Replica, ReplicaAttachment, ReplicaBeat, ReplicaFilter, ReplicaLoad, ReplicaState, ReplicaTold,
};
pub use routes::update::RoutePatch;
pub use routes::{Route, RouteInsert, RouteTarget, TargetWanted};
pub use seal::{SealError, Sealed, Sealer};
pub use tokens::{Token, TokenAuthentication, TokenFilter, TokenInsert};
pub use url::{DatabaseUrl, DatabaseUrlError};
pub use users::{User, UserFilter, UserInsert, UserRef, UserState};
