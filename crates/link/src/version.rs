//! The protocol's version rule: same major; a replica's minor may be at most the control plane's. Every call shows the version, and a
//! control plane that is behind refuses it: it would leave out what it does not know, and acknowledge the rest.

/// The version that this build speaks.
pub const PROTOCOL: ProtocolVersion = ProtocolVersion { major: 1, minor: 4 };

/// `major.minor` of the link protocol; not the product's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolVersion {
    /// Changes when old and new can't understand each other.
    pub major: u32,
    /// Grows when a replica sends something that an older control plane must understand.
    pub minor: u32,
}

impl std::fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl std::str::FromStr for ProtocolVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        let number = |text: &str| text.parse().map_err(|_| ());
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

/// Why a replica's version does not fit, and which side to upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VersionRefusal {
    /// The control plane is behind.
    #[error(
        "the replica speaks link protocol {replica}, the control plane only {control_plane}: upgrade the control plane first"
    )]
    UpgradeControlPlane {
        /// The replica's version.
        replica: ProtocolVersion,
        /// The control plane's version.
        control_plane: ProtocolVersion,
    },
    /// The replica is behind.
    #[error("the replica speaks link protocol {replica}, the control plane {control_plane}: upgrade the replica")]
    UpgradeReplica {
        /// The replica's version.
        replica: ProtocolVersion,
        /// The control plane's version.
        control_plane: ProtocolVersion,
    },
}

impl ProtocolVersion {
    /// Whether a control plane of this version accepts a replica of that one.
    pub const fn accepts(self, replica: Self) -> Result<(), VersionRefusal> {
        let control_plane = self;
        if replica.major > self.major || (replica.major == self.major && replica.minor > self.minor) {
            Err(VersionRefusal::UpgradeControlPlane { replica, control_plane })
        } else if replica.major < self.major {
            Err(VersionRefusal::UpgradeReplica { replica, control_plane })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ProtocolVersion, VersionRefusal};

    #[test]
    fn same_major_and_no_newer_minor() {
        let v = |major, minor| ProtocolVersion { major, minor };
        assert_eq!(v(2, 3).accepts(v(2, 3)), Ok(()));
        assert_eq!(v(2, 3).accepts(v(2, 0)), Ok(()));
        assert!(matches!(
            v(2, 3).accepts(v(2, 4)),
            Err(VersionRefusal::UpgradeControlPlane { .. })
        ));
        assert!(matches!(
            v(2, 3).accepts(v(3, 0)),
            Err(VersionRefusal::UpgradeControlPlane { .. })
        ));
        assert!(matches!(
            v(2, 3).accepts(v(1, 9)),
            Err(VersionRefusal::UpgradeReplica { .. })
        ));
    }
}
