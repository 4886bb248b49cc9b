//! Reading what the gateway has recorded.

pub(crate) mod completion;
mod filters;
pub(crate) mod identity;
pub(crate) mod ingest;

use crate::connect::Store;
use crate::error::StoreError;
use crate::guard::may;
use crate::page::{Cursor, Listing, Page};
use crate::rows::interceptions::{InterceptionDetail, InterceptionFilter, InterceptionSummary};
use crate::sql::interceptions as sql;
use lychgate_authz::{Action, Caller, Resource, authorise_list};
use lychgate_types::InterceptionId;

impl Store {
    /// Interceptions, newest first. A caller who may only see its own gets only its own. A filter that names what nothing has is an
    /// error ([`StoreError::Unmatched`]).
    pub async fn interception_list(
        &self,
        caller: &Caller,
        filter: &InterceptionFilter,
        page: Page,
    ) -> Result<Listing<InterceptionSummary>, StoreError> {
        let only = authorise_list(&caller.principal, Resource::Interception)?;
        let mut held = self.engine.read().await?;
        let wanted = filters::look_up(&mut held, only, filter).await?;
        let items = sql::list(held.conn(), &wanted, page).await?;
        if items.is_empty() && page.after.is_none() {
            filters::unmatched(&mut held, caller, &wanted).await?;
        }
        Ok(Listing::cut(items, page, |row| Cursor {
            at: row.started_at,
            id: row.id.as_uuid(),
        }))
    }

    /// One interception with its lists.
    pub async fn interception_get(
        &self,
        caller: &Caller,
        id: InterceptionId,
    ) -> Result<InterceptionDetail, StoreError> {
        may::<InterceptionSummary>(caller, Action::Read)?;
        let mut tx = self.engine.begin_read().await?;
        let found = sql::find(tx.conn(), id).await?;
        Ok(InterceptionDetail {
            summary: found.for_action(caller, Action::Read)?.into_row(),
            token_usages: sql::token_usages(tx.conn(), id).await?,
            prompts: sql::prompts(tx.conn(), id).await?,
            tool_usages: sql::tool_usages(tx.conn(), id).await?,
            model_thoughts: sql::model_thoughts(tx.conn(), id).await?,
        })
    }
}
