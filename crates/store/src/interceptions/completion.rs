//! Taking in the ends of interceptions that are on record as unfinished: what a provider did in the background, as whoever asked for
//! it first was shown it; or, of one that nobody was shown the end of, what was seen of it.
//!
//! An end needs what a record needs (its key was told of its token, and serves its provider), and names the object that the
//! interception made. Its user is the maker, unless the provider's policy shares what it stores.

use super::identity::{Known, admit};
use super::ingest::IngestReport;
use crate::connect::Store;
use crate::error::StoreError;
use crate::rows::interceptions::{Deliverer, Placed};
use crate::sql::interceptions::completion as sql;
use crate::sql::interceptions::ingest::{model_thoughts, stored_objects, token_usages, tool_usages};
use lychgate_types::interception::{InterceptionRecord, Outcome};
use std::sync::Arc;

const NO_MAKER: &str = "it is the end of a response that no record under this id has made";
const OTHER_PROVIDER: &str = "it is the end of a response of another provider";
const OTHER_USER: &str = "it is the end of a response that another user has made";

impl Store {
    /// Books an end once, whoever else was shown it.
    pub(super) async fn complete(
        &self,
        end: &Arc<InterceptionRecord>,
        from: Deliverer,
        report: &mut IngestReport,
    ) -> Result<(), StoreError> {
        let mut held = self.engine.read().await?;
        let now = self.now();
        let known = Known::look_up(&mut held, std::slice::from_ref(end), from, now).await?;
        let (token, times) = match admit(end, &known, from.gateway_key, now) {
            Ok(admitted) => admitted,
            Err(reason) => {
                report.reject(end.id, reason);
                return Ok(());
            }
        };
        let object = end.stored_object.as_deref().unwrap_or_default();
        let Some(maker) = sql::maker(held.conn(), end.id, object).await? else {
            report.reject(end.id, NO_MAKER);
            return Ok(());
        };
        if maker.provider != end.provider {
            report.reject(end.id, OTHER_PROVIDER);
            return Ok(());
        }
        if maker.user != token.user && !sql::is_shared(held.conn(), &maker.provider).await? {
            report.reject(end.id, OTHER_USER);
            return Ok(());
        }
        drop(held);
        if !maker.is_unfinished {
            return Ok(());
        }
        let placed = Placed {
            record: end,
            id: end.id,
            times,
            received_at: now,
            token: maker.token,
            user: maker.user,
            session: end.id.as_uuid(),
            parent: None,
        };
        let mut tx = self.engine.begin().await?;
        if end.outcome == Outcome::Unfinished {
            sql::raise(tx.conn(), &placed).await?;
            return tx.commit().await;
        }
        if !sql::complete(tx.conn(), &placed).await? {
            return Ok(());
        }
        let has_final_usage = sql::clear(&mut tx, &placed).await?;
        if has_final_usage {
            token_usages(tx.conn(), &[placed]).await?;
        }
        stored_objects(tx.conn(), &[placed]).await?;
        tool_usages(tx.conn(), &[placed]).await?;
        model_thoughts(tx.conn(), &[placed]).await?;
        tx.commit().await?;
        report.new += 1;
        Ok(())
    }
}
