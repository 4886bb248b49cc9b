//! Why a data plane is not attached, as a label: what broke the link, or why the control plane refuses it.

use super::labels::LinkLoss;
use lychgate_types::{KeyRefusal, Texts};

/// Why a data plane is not attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkTrouble {
    /// The link does not work at present.
    Lost(LinkLoss),
    /// The control plane refuses this replica.
    Refused(KeyRefusal),
}

const COUNT: usize = LinkLoss::ALL.len() + KeyRefusal::ALL.len();

const fn all() -> [LinkTrouble; COUNT] {
    let mut all = [LinkTrouble::Lost(LinkLoss::Unreachable); COUNT];
    let mut at = 0;
    while at < COUNT {
        all[at] = if at < LinkLoss::ALL.len() {
            LinkTrouble::Lost(LinkLoss::ALL[at])
        } else {
            LinkTrouble::Refused(KeyRefusal::ALL[at - LinkLoss::ALL.len()])
        };
        at += 1;
    }
    all
}

impl Texts for LinkTrouble {
    const ALL: &'static [Self] = &all();

    fn text(self) -> &'static str {
        match self {
            Self::Lost(loss) => loss.as_str(),
            Self::Refused(refusal) => refusal.as_str(),
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Lost(loss) => loss.description(),
            Self::Refused(refusal) => refusal.description(),
        }
    }
}

impl From<LinkLoss> for LinkTrouble {
    fn from(loss: LinkLoss) -> Self {
        Self::Lost(loss)
    }
}

impl From<KeyRefusal> for LinkTrouble {
    fn from(refusal: KeyRefusal) -> Self {
        Self::Refused(refusal)
    }
}
