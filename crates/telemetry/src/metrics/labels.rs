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
        /// The process is shutting down. Send the request to another replica.
        ShuttingDown = "shutting_down",
        /// An operator is draining this replica. Send the request to another one.
        Drained = "drained",
        /// The replica has not reached a control plane since it started. See its log and `lychgate_link_trouble`.
        NotAttached = "not_attached",
        /// No control plane has been reachable for longer than `--max-offline`.
        OfflineTooLong = "offline_too_long",
        /// The control plane refuses this replica; the reason is among those of a gateway key, below.
        ReplicaRefused = "replica_refused",
        /// The replica has reached its limit of requests in flight. Add replicas.
        TooManyRequests = "too_many_requests",
        /// Too many look-ups of unknown tokens are waiting, in total or from one address. Known tokens are still served.
        LookupsTooMany = "lookups_too_many",
        /// Request bodies take up all the memory they may, in total or for one user. If this persists, add replicas.
        BodiesTooMany = "bodies_too_many",
        /// No provider has the name in the path. `lychgate providers list` shows the names.
        UnknownProvider = "unknown_provider",
        /// The path, the method on it or a parameter behind it is not one that is relayed for this type of provider, or the provider's policy switches it off. Check
        /// the client's base URL.
        UnknownPath = "unknown_path",
        /// The request names an object stored by the provider (a response, a file and so on) that another user made or, with `relay.stored_objects=own`, that the user is not
        /// known to have made. `--policy relay.stored_objects=all` of the provider lets everybody use them.
        ObjectUnknown = "object_unknown",
        /// The request asks for a list of what all users of the gateway's key have made (files, batches and so on). With a key of the user's
        /// own, or `--policy relay.stored_objects=all` of the provider, it is relayed.
        ListOfAll = "list_of_all",
        /// The request's path names another project or location than the settings of the provider, which say who pays and where prompts go. Set
        /// the client to those.
        OtherProject = "other_project",
        /// The client asked for a WebSocket where none is spoken: not on this path, not by this provider, or switched off by
        /// `relay.websocket`. Clients then fall back to HTTP. 503: the WebSocket is about to be closed, so that another has to be opened.
        WebSocket = "websocket",
        /// The user, or the gateway, has too many WebSockets open, or one of them has too many lanes or responses.
        SocketsTooMany = "sockets_too_many",
        /// The request has no user token in a header, has one in its URL, or has `x-lychgate-token` without the client's own
        /// provider key; or it is signed with AWS credentials, which Lychgate does not take (403).
        CredentialMissing = "credential_missing",
        /// What was sent is not a Lychgate token: it is cut off, mistyped or of another kind.
        TokenMalformed = "token_malformed",
        /// No token has this secret. It may belong to another deployment.
        TokenUnknown = "token_unknown",
        /// The token has expired. Create a new one.
        TokenExpired = "token_expired",
        /// The token was revoked. Create a new one.
        TokenRevoked = "token_revoked",
        /// The user of the token is suspended. An owner can activate the user again.
        UserSuspended = "user_suspended",
        /// The scopes of the token do not include AI requests. Create one with `ai_request:create`.
        TokenForbidden = "token_forbidden",
        /// The replica does not know the token, or has known it for 15 minutes, and can't reach a control plane to ask.
        ControlPlaneUnreachable = "control_plane_unreachable",
        /// The provider is disabled. `lychgate providers enable NAME` enables it.
        ProviderDisabled = "provider_disabled",
        /// The provider has no key, no credential could be fetched with its keys, or its base URL can't be used; the message says which.
        ProviderUnusable = "provider_unusable",
        /// The circuit breaker of every provider that could serve the request is open. Try again after `Retry-After`.
        CircuitOpen = "circuit_open",
        /// The provider could not be reached, did not answer in time, or (503) did not show what became of a response in the background
        /// that was to be deleted. Counted here only for requests that are not recorded; otherwise see the record.
        ProviderFailed = "provider_failed",
        /// The route for the model names only providers that can't serve the request, or the model can't be replaced in its body.
        RouteUnusable = "route_unusable",
        /// The spool has no room for another record: records can't be delivered as fast as they arrive, or too many are in
        /// flight. See `--spool-max-bytes` and the log.
        SpoolFull = "spool_full",
        /// Half of the spool is taken by records of this user that can't be delivered or are in flight: the other half is for
        /// the others. Treat it as `spool_full`.
        SpoolShareFull = "spool_share_full",
        /// The spool can't be written. Check the disk of the replica; its log has the reason.
        SpoolFailed = "spool_failed",
        /// The request body is over the replica's limit; the message says how large it may be.
        BodyTooLarge = "body_too_large",
        /// The request body did not arrive in time, or was cut off.
        BodyUnfinished = "body_unfinished",
        /// The request body is compressed in a way that is not known or does not fit it, or is not the JSON that this API takes.
        BodyUnreadable = "body_unreadable",
        /// A fault of the gateway. Its log has more; please report it.
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
