//! Whether the master key is the one that this database was sealed with.

use crate::seal::Sealer;
use crate::{Store, StoreError};
use lychgate_authz::Caller;

impl Store {
    /// The first start writes a sealed constant; every later one must be able to open it, else [`StoreError::WrongMasterKey`].
    pub async fn master_key_check(&self, caller: &Caller, sealer: &Sealer) -> Result<(), StoreError> {
        todo!()
    }
}
