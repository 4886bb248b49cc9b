//! Why a control plane refuses a replica: one set of reasons for the link, its metrics, the audit log and the replica's own state.
//!
//! Not here: who decides it (crate `control`), and how it travels (crate `link`).

crate::text_enum! {
    /// Why a control plane refuses a replica.
    KeyRefusal {
        /// What was sent is not a gateway key: it is cut off, mistyped or of another kind.
        Malformed = "key_malformed",
        /// No gateway key has this secret: the key was deleted, or belongs to another deployment.
        Unknown = "key_unknown",
        /// The gateway key was deleted while it was in use. Create another one for this replica.
        Revoked = "key_revoked",
        /// The gateway key has expired. Give it a later `expires_at`, or the replica another key.
        Expired = "key_expired",
        /// The gateway key was rotated, and the grace period of this secret is over. Give the replica the new secret.
        Rotated = "key_rotated",
        /// The gateway key is disabled. `lychgate keys enable NAME` enables it.
        Disabled = "key_disabled",
        /// The gateway key is restricted to other addresses; `lychgate keys show NAME` lists them.
        SourceNotAllowed = "source_not_allowed",
        /// Too many failed attempts came from this address. Wait a minute.
        TooManyAttempts = "too_many_attempts",
        /// The replica and the control plane speak incompatible versions of the link protocol. Upgrade the older one.
        ProtocolVersion = "protocol_version",
        /// The replica's id belongs to another process, whose secret this one did not show. A restarted replica has another id.
        ReplicaIdTaken = "replica_id_taken",
        /// A reason that only a newer version knows. The log of the control plane has it.
        Other = "other",
    }
}

impl KeyRefusal {
    /// One clause for logs and error messages.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Malformed => "the gateway key is malformed",
            Self::Unknown => "the gateway key is unknown: it was deleted, or belongs to another deployment",
            Self::Revoked => "the gateway key was deleted; create another one for this replica",
            Self::Expired => "the gateway key has expired",
            Self::Rotated => "the gateway key was rotated; give this replica the new secret",
            Self::Disabled => "the gateway key is disabled",
            Self::SourceNotAllowed => "the gateway key is not allowed from this address",
            Self::TooManyAttempts => "too many failed attempts; wait before trying again",
            Self::ProtocolVersion => {
                "the replica and the control plane speak incompatible versions of the link protocol"
            }
            Self::ReplicaIdTaken => "the replica's id belongs to another process; restart the replica",
            Self::Other => "the control plane gave a reason that this version does not know",
        }
    }

    /// Whether another gateway key might be accepted.
    pub const fn is_about_the_key(self) -> bool {
        !matches!(
            self,
            Self::TooManyAttempts | Self::ProtocolVersion | Self::ReplicaIdTaken
        )
    }

    /// Whether the same gateway key may be accepted again later without being replaced.
    pub const fn is_reversible(self) -> bool {
        matches!(self, Self::Disabled | Self::Expired | Self::SourceNotAllowed)
    }
}
