//! What the labels of metrics may say, where no other crate has an enum for it. Texts once given stay: dashboards know them.

lychgate_types::text_enum! {
    /// How a data plane stands with the control plane.
    LinkState {
        /// Not attached since it started.
        Starting = "starting",
        /// Attached.
        Attached = "attached",
        /// It was attached, and reconnects as soon as the control plane can be reached.
        Offline = "offline",
        /// The control plane does not want it.
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

    /// Who wants that no new requests are taken.
    DrainedBy {
        /// `lychgate replicas drain`.
        Operator = "operator",
        /// The process is ending.
        Shutdown = "shutdown",
    }

    /// Why a request got an answer of the gateway's own and left no record.
    Refused {
        /// The process is ending.
        ShuttingDown = "shutting_down",
        /// An operator drains this replica.
        Drained = "drained",
        /// The control plane was not reached yet.
        NotAttached = "not_attached",
        /// The control plane has been unreachable for longer than `--max-offline`.
        OfflineTooLong = "offline_too_long",
        /// The control plane does not let this replica in.
        ReplicaRefused = "replica_refused",
        /// As many requests as may be are being served.
        TooManyRequests = "too_many_requests",
        /// No provider has the name in the path.
        UnknownProvider = "unknown_provider",
        /// The path, or the method on it, is not relayed.
        UnknownPath = "unknown_path",
        /// A WebSocket was asked for.
        WebSocket = "websocket",
        /// No token came with it, or a provider's own key was to come beside it and did not.
        CredentialMissing = "credential_missing",
        /// What came is not a token.
        TokenMalformed = "token_malformed",
        /// There is no such token.
        TokenUnknown = "token_unknown",
        /// The token's time is over.
        TokenExpired = "token_expired",
        /// The token was revoked.
        TokenRevoked = "token_revoked",
        /// The token's user is suspended.
        UserSuspended = "user_suspended",
        /// The token may not send AI requests.
        TokenForbidden = "token_forbidden",
        /// The token is not known here, and nobody can be asked about it.
        ControlPlaneUnreachable = "control_plane_unreachable",
        /// The provider is disabled.
        ProviderDisabled = "provider_disabled",
        /// The provider has no key, or its base URL can't be used.
        ProviderUnusable = "provider_unusable",
        /// Every circuit breaker on its way is open, or there is no time left for another attempt.
        CircuitOpen = "circuit_open",
        /// The provider gave no answer to a request that leaves no record anyway.
        ProviderFailed = "provider_failed",
        /// The route for its model can't serve it.
        RouteUnusable = "route_unusable",
        /// There is no room for its record.
        SpoolFull = "spool_full",
        /// Its record can't be kept, as a rule because the disk fails.
        SpoolFailed = "spool_failed",
        /// Its body is too large.
        BodyTooLarge = "body_too_large",
        /// Its body came too slowly, or was cut.
        BodyUnfinished = "body_unfinished",
        /// Its body can't be read.
        BodyUnreadable = "body_unreadable",
        /// A bug.
        Internal = "internal_error",
    }

    /// Kinds of tokens that models count; they do not overlap.
    TokenKind {
        /// Input that no cache had to do with.
        Input = "input",
        /// Input read from the provider's cache.
        CacheRead = "cache_read",
        /// Input written to the provider's cache.
        CacheWrite = "cache_write",
        /// Output, reasoning included.
        Output = "output",
    }

    /// How a circuit breaker stands that is not closed.
    BreakerState {
        /// Nothing is sent.
        Open = "open",
        /// A few requests may try.
        HalfOpen = "half_open",
    }

    /// What is believed of a user token.
    LeaseKind {
        /// It is good.
        Good = "good",
        /// It is not.
        Denied = "denied",
    }

    /// What the control plane said of a user token.
    Lookup {
        /// It is good.
        Allowed = "allowed",
        /// It is good, but not for AI requests.
        Forbidden = "forbidden",
        /// There is none.
        Unknown = "unknown",
        /// Its time is over.
        Expired = "expired",
        /// It was revoked.
        Revoked = "revoked",
        /// Its user is suspended.
        Suspended = "suspended",
        /// Nothing.
        Unanswered = "unanswered",
    }

    /// Why there is no room for records.
    NoRoom {
        /// Too many wait for the control plane.
        Full = "full",
        /// The disk does not take them.
        Disk = "disk",
    }

    /// What became of a delivered record.
    Ingested {
        /// It is on the books.
        New = "new",
        /// It was on the books before.
        Known = "known",
        /// It can't be taken.
        Rejected = "rejected",
    }

    /// Why a caller of the API is a stranger. The same words are the codes of the answers.
    AuthenticationFailure {
        /// No token came.
        Missing = "token_missing",
        /// What came is not a token.
        Malformed = "token_malformed",
        /// There is no such token.
        Unknown = "token_unknown",
        /// The token's time is over.
        Expired = "token_expired",
        /// The token was revoked.
        Revoked = "token_revoked",
        /// The token's user is suspended.
        Suspended = "user_suspended",
    }

    /// An HTTP status by its first digit.
    StatusClass {
        /// Interim answers, which the API gives none of.
        Informational = "1xx",
        /// It worked.
        Success = "2xx",
        /// It is elsewhere.
        Redirection = "3xx",
        /// The caller has to change something.
        ClientError = "4xx",
        /// The control plane failed.
        ServerError = "5xx",
    }

    /// Whether a gateway key lets in.
    KeyState {
        /// It does.
        Active = "active",
        /// Its time is over.
        Expired = "expired",
        /// It is disabled, whether its time is over or not.
        Disabled = "disabled",
    }

    /// How replicas stand that are attached to this control plane.
    Attached {
        /// It takes requests.
        Serving = "serving",
        /// It takes no new requests.
        Draining = "draining",
    }

    /// How replicas stand, whichever control plane they are attached to.
    ReplicaState {
        /// It is there.
        Attached = "attached",
        /// It is there, but takes no new requests.
        Draining = "draining",
        /// It went, and said so.
        Detached = "detached",
        /// It went without a word.
        Lost = "lost",
    }
}
