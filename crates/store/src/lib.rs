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
mod denials;
mod engine;
mod error;
mod facts;
mod guard;
mod housekeeping;
mod idempotency;
mod interceptions;
mod master_key;
mod mutation;
mod name_or_id;
mod page;
mod providers;
mod replicas;
mod routes;
mod rows;
pub mod seal;
mod sql;
mod stored_objects;
mod tokens;
mod url;
mod users;
mod write_checks;

pub use ai_gateway_keys::replaced::REPLACED_KEYS;
pub use changes::ChangeListener;
pub use configuration::{SealedConfiguration, SealedProvider};
pub use connect::{Store, schema_id};
pub use error::{
    ConnectError, Constraint, Internal, RouteMisfit, RouteMisfitReason, RoutePlace, RuleBroken, StoreError, Unmatched,
};
pub use housekeeping::Housekeeping;
pub use interceptions::ingest::IngestReport;
pub use name_or_id::NameOrId;
pub use page::{Cursor, CursorError, Listing, Page};
pub use replicas::LOST_AFTER;
pub use rows::ai_gateway_keys::{
    AiGatewayKeyInsert, GatewayKey, GatewayKeyPatch, GatewayKeyRotation, KeyAuthentication, KeyExpiry, KeyFilter,
    KeyRef, KeyState, SecretState,
};
pub use rows::audit::{ActorKind, AuditChange, AuditEntry, AuditFilter, AuditInsert, AuditOutcome};
pub use rows::changes::{Change, Changes, RevokedTokens};
pub use rows::idempotency::{Idempotency, Operation, RememberedAnswer, SealedAnswer};
pub use rows::interceptions::{InterceptionDetail, InterceptionFilter, InterceptionSummary, ReplicaStamp, TokenSums};
pub use rows::providers::{
    Provider, ProviderAddress, ProviderInsert, ProviderKey, ProviderKeyInsert, ProviderPatch, ProviderRef, WantedKey,
};
pub use rows::replicas::{
    Replica, ReplicaAttachment, ReplicaBeat, ReplicaFilter, ReplicaInfo, ReplicaLoad, ReplicaState,
};
pub use rows::routes::{Route, RouteInsert, RoutePatch, RouteTarget, TargetWanted};
pub use rows::tokens::{Token, TokenAuthentication, TokenFilter, TokenInsert};
pub use rows::users::{User, UserFilter, UserInsert, UserPatch, UserRef, UserState};
pub use seal::{SealError, Sealed, Sealer};
pub use tokens::{TOKEN_LEASE, TOKENS_PER_USER};
pub use url::{DatabaseUrl, DatabaseUrlError};
