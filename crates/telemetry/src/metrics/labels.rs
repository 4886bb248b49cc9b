//! The label values of metrics, where no other crate has an enum for them. After a release they must not change: dashboards use
//! them.

lychgate_types::text_enum! {
    /// State of the control link.
    LinkState {
        /// Not attached yet since the start.
        Starting = "starting",
        /// Attached.
        Attached = "attached",
        /// It was attached, and reconnects as soon as the control plane can be reached.
        Offline = "offline",
        /// The control plane refuses this replica.
        Refused = "refused",
    }

    /// What broke a data plane's link to its control plane.
    LinkLoss {
        /// There is no connection, or it was lost.
        Unreachable = "unreachable",
        /// The control plane did not answer in time.
        NoAnswer = "no_answer",
        /// The answer does not follow the protocol.
        UnexpectedAnswer = "unexpected_answer",
        /// The control plane is shutting down.
        ShuttingDown = "shutting_down",
        /// The control plane had an internal error.
        InternalError = "internal_error",
        /// A change was missed, so the attachment starts over.
        ChangeMissed = "change_missed",
    }

    /// Why new requests are refused.
    DrainedBy {
        /// `lychgate replicas drain`.
        Operator = "operator",
        /// The process is shutting down.
        Shutdown = "shutdown",
    }

    /// Why the gateway answered a request itself, without a record.
    Refused {
        /// The process is shutting down.
        ShuttingDown = "shutting_down",
        /// An operator drains this replica.
        Drained = "drained",
        /// The control plane has not been reached yet.
        NotAttached = "not_attached",
        /// The control plane has been unreachable for longer than `--max-offline`.
        OfflineTooLong = "offline_too_long",
        /// The control plane refuses this replica.
        ReplicaRefused = "replica_refused",
        /// The limit of concurrent requests is reached.
        TooManyRequests = "too_many_requests",
        /// No provider has the name in the path.
        UnknownProvider = "unknown_provider",
        /// The path, or the method on it, is not relayed.
        UnknownPath = "unknown_path",
        /// The client requested a WebSocket.
        WebSocket = "websocket",
        /// The request has no token, or a token that needs the client's own provider key but no such key.
        CredentialMissing = "credential_missing",
        /// The token is malformed.
        TokenMalformed = "token_malformed",
        /// There is no such token.
        TokenUnknown = "token_unknown",
        /// The token has expired.
        TokenExpired = "token_expired",
        /// The token was revoked.
        TokenRevoked = "token_revoked",
        /// The token's user is suspended.
        UserSuspended = "user_suspended",
        /// The scopes of the token do not include AI requests.
        TokenForbidden = "token_forbidden",
        /// The token is unknown here, and no control plane can be asked.
        ControlPlaneUnreachable = "control_plane_unreachable",
        /// The provider is disabled.
        ProviderDisabled = "provider_disabled",
        /// The provider has no key, or its base URL is unusable.
        ProviderUnusable = "provider_unusable",
        /// Every circuit breaker on its way is open, or there is no time left for another attempt.
        CircuitOpen = "circuit_open",
        /// The provider did not respond to a request that is not recorded.
        ProviderFailed = "provider_failed",
        /// The route for its model can't serve it.
        RouteUnusable = "route_unusable",
        /// The spool has no room for a record.
        SpoolFull = "spool_full",
        /// The record could not be written, usually because of a disk error.
        SpoolFailed = "spool_failed",
        /// The request body is too large.
        BodyTooLarge = "body_too_large",
        /// The request body was too slow or was cut off.
        BodyUnfinished = "body_unfinished",
        /// The request body can't be read.
        BodyUnreadable = "body_unreadable",
        /// A bug.
        Internal = "internal_error",
    }

    /// Kinds of tokens, without overlap.
    TokenKind {
        /// Uncached input.
        Input = "input",
        /// Input read from the provider's cache.
        CacheRead = "cache_read",
        /// Input written to the provider's cache.
        CacheWrite = "cache_write",
        /// Output, reasoning included.
        Output = "output",
    }

    /// State of a circuit breaker that is not closed.
    BreakerState {
        /// No requests are sent.
        Open = "open",
        /// A few probe requests are sent.
        HalfOpen = "half_open",
    }

    /// What a lease says about a user token.
    LeaseKind {
        /// The token is valid.
        Good = "good",
        /// The token is not valid.
        Denied = "denied",
    }

    /// What the control plane answered about a user token.
    Lookup {
        /// Valid.
        Allowed = "allowed",
        /// Valid, but not for AI requests.
        Forbidden = "forbidden",
        /// No such token.
        Unknown = "unknown",
        /// Expired.
        Expired = "expired",
        /// Revoked.
        Revoked = "revoked",
        /// Its user is suspended.
        Suspended = "suspended",
        /// There was no answer.
        Unanswered = "unanswered",
    }

    /// Why the spool accepts no records.
    NoRoom {
        /// It is full.
        Full = "full",
        /// The disk fails.
        Disk = "disk",
    }

    /// What became of a delivered record.
    Ingested {
        /// Stored now.
        New = "new",
        /// Already stored.
        Known = "known",
        /// Invalid; not stored.
        Rejected = "rejected",
    }

    /// Why an API caller could not be authenticated. The values are also the error codes of the responses.
    AuthenticationFailure {
        /// The request has no token.
        Missing = "token_missing",
        /// The token is malformed.
        Malformed = "token_malformed",
        /// There is no such token.
        Unknown = "token_unknown",
        /// The token has expired.
        Expired = "token_expired",
        /// The token was revoked.
        Revoked = "token_revoked",
        /// The token's user is suspended.
        Suspended = "user_suspended",
    }

    /// Class of an HTTP status.
    StatusClass {
        /// Interim responses; the API sends none.
        Informational = "1xx",
        /// Success.
        Success = "2xx",
        /// Redirection.
        Redirection = "3xx",
        /// Error of the caller.
        ClientError = "4xx",
        /// Error of the control plane.
        ServerError = "5xx",
    }

    /// State of a gateway key.
    KeyState {
        /// Replicas can attach with it.
        Active = "active",
        /// Its time is over.
        Expired = "expired",
        /// It is disabled, expired or not.
        Disabled = "disabled",
    }

    /// State of a replica that is attached to this control plane.
    Attached {
        /// It serves requests.
        Serving = "serving",
        /// It accepts no new requests.
        Draining = "draining",
    }

    /// State of a replica in the registry.
    ReplicaState {
        /// Attached and serving.
        Attached = "attached",
        /// Attached, but it accepts no new requests.
        Draining = "draining",
        /// It shut down and said so.
        Detached = "detached",
        /// It disappeared without saying so.
        Lost = "lost",
    }
}
