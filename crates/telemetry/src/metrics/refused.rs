//! With which statuses a data plane refuses, by reason: for the error reference, and checked where each answer is made.

use super::labels::Refused;

impl Refused {
    /// The HTTP statuses of answers with this reason.
    pub const fn statuses(self) -> &'static [u16] {
        match self {
            Self::ShuttingDown
            | Self::Drained
            | Self::NotAttached
            | Self::OfflineTooLong
            | Self::ReplicaRefused
            | Self::TooManyRequests
            | Self::LookupsTooMany
            | Self::ControlPlaneUnreachable
            | Self::ProviderDisabled
            | Self::CircuitOpen
            | Self::SpoolFull
            | Self::SpoolShareFull
            | Self::SpoolFailed => &[503],
            Self::BodiesTooMany | Self::SocketsTooMany => &[429, 503],
            Self::UnknownProvider | Self::ObjectUnknown => &[404],
            Self::UnknownPath => &[400, 404, 405],
            Self::WebSocket => &[426, 503],
            Self::CredentialMissing => &[401, 403],
            Self::TokenMalformed
            | Self::TokenUnknown
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::UserSuspended => &[401],
            Self::TokenForbidden | Self::ListOfAll | Self::OtherProject => &[403],
            Self::ProviderUnusable => &[502, 503],
            Self::ProviderFailed => &[502, 503, 504],
            Self::RouteUnusable => &[400, 503],
            Self::BodyTooLarge => &[413],
            Self::BodyUnfinished => &[400, 408],
            Self::BodyUnreadable => &[400, 415],
            Self::Internal => &[500],
        }
    }
}
