//! Whether the master key is the one that this database was sealed with.

use crate::connect::Store;
use crate::engine::{Lock, foreign};
use crate::error::StoreError;
use crate::guard::no_user;
use crate::seal::{SealError, Sealer};
use crate::sql::master_key as sql;
use lychgate_authz::{Action, Caller, Resource, Target, authorise};

const COLUMN: &str = "master_key_checks.sealed";
const CONSTANT: &[u8] = b"lychgate";

impl Store {
    /// The first start writes a sealed constant; every later one must be able to open it, else [`StoreError::WrongMasterKey`].
    pub async fn master_key_check(&self, caller: &Caller, sealer: &Sealer) -> Result<(), StoreError> {
        authorise(&caller.principal, Action::Read, Resource::Provider, Target::Collection)?;
        no_user(caller)?;
        let mut tx = self.engine.begin().await?;
        tx.lock(Lock::MasterKey).await?;
        match sql::newest(tx.conn()).await? {
            Some((id, sealed)) => match sealer.open_bytes(&sealed, id, COLUMN) {
                Ok(constant) if *constant == CONSTANT => Ok(()),
                Ok(_) | Err(SealError::OtherKey | SealError::Damaged) => Err(StoreError::WrongMasterKey),
                Err(error @ SealError::Cipher) => Err(foreign(error)),
            },
            None => {
                let id = self.new_uuid();
                let sealed = sealer
                    .seal_bytes(&self.ambient, CONSTANT, id, COLUMN)
                    .map_err(foreign)?;
                sql::insert(tx.conn(), id, self.now(), &sealed).await?;
                tx.commit().await
            }
        }
    }
}
