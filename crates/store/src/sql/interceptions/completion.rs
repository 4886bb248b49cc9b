//! Completing an interception that is on record as unfinished.

use super::ingest::{LABEL, MESSAGE, MOST_TOKENS};
use crate::engine::{Conn, Tx, args, cut};
use crate::error::StoreError;
use crate::rows::interceptions::Placed;
use crate::sql::stored_objects;
use lychgate_types::policy::ProviderPolicy;
use lychgate_types::{InterceptionId, TokenId, UserId};

crate::sql::statements! {
    FIND = "SELECT i.user_id, i.token_id, i.provider, i.outcome FROM interceptions i \
         JOIN stored_objects o ON o.interception_id = i.id AND o.user_id = i.user_id WHERE i.id = $1 AND o.object_hash = $2";
    /// Whoever is second finds nothing to do.
    COMPLETE = "UPDATE interceptions SET outcome = $2, ended_at = CASE WHEN started_at > $3 THEN started_at ELSE $3 END, \
         error_type = $4, error_message = $5, stop_reason = $6, \
         served_model = NULLIF(COALESCE($7, served_model), model) \
         WHERE id = $1 AND outcome = 'unfinished' RETURNING id";
    DELETE_TOKEN_USAGES = "DELETE FROM token_usages WHERE interception_id = $1";
    DELETE_TOOL_USAGES = "DELETE FROM tool_usages WHERE interception_id = $1";
    DELETE_MODEL_THOUGHTS = "DELETE FROM model_thoughts WHERE interception_id = $1";
    /// Where the provider does not tell what it used, the estimate of the input stays, and what has passed already was used.
    ESTIMATE_OUTPUT = "UPDATE token_usages SET output_tokens = $2 WHERE interception_id = $1 AND position = 0 AND output_tokens < $2";
    /// What was seen so far of one that goes on.
    RAISE_OUTPUT = "UPDATE token_usages SET output_tokens = $2 WHERE interception_id = $1 AND position = 0 AND output_tokens < $2 \
         AND EXISTS (SELECT 1 FROM interceptions i WHERE i.id = $1 AND i.outcome = 'unfinished')";
    POLICY = "SELECT policy FROM providers WHERE name = $1";
}

/// What is on record of an interception that made an object.
pub(crate) struct Maker {
    pub(crate) user: UserId,
    pub(crate) token: TokenId,
    pub(crate) provider: String,
    pub(crate) is_unfinished: bool,
}

/// The interception with this id, if it made this object.
pub(crate) async fn maker(conn: Conn<'_>, id: InterceptionId, object: &str) -> Result<Option<Maker>, StoreError> {
    let hash = stored_objects::hash(object);
    let Some(row) = conn.optional(FIND, args![id, hash.as_slice()]).await? else {
        return Ok(None);
    };
    Ok(Some(Maker {
        user: row.id("user_id")?,
        token: row.id("token_id")?,
        provider: row.text("provider")?,
        is_unfinished: row.text("outcome")? == "unfinished",
    }))
}

/// Whether users of this provider share what it stores.
pub(crate) async fn is_shared(conn: Conn<'_>, provider: &str) -> Result<bool, StoreError> {
    let Some(row) = conn.optional(POLICY, args![provider]).await? else {
        return Ok(false);
    };
    let policy = row.policy("policy")?.over(ProviderPolicy::default());
    Ok(policy.relay.shares_objects())
}

/// Says how it ended; false where that was said already.
pub(crate) async fn complete(conn: Conn<'_>, end: &Placed<'_>) -> Result<bool, StoreError> {
    let label = |text: &Option<String>| text.as_deref().map(|text| cut(text, LABEL).to_owned());
    let record = end.record;
    let values = args![
        end.id,
        record.outcome.as_str(),
        end.times.ended_at,
        label(&record.error_type),
        record.error_message.as_deref().map(|text| cut(text, MESSAGE)),
        label(&record.stop_reason),
        label(&record.served_model),
    ];
    Ok(conn.optional(COMPLETE, values).await?.is_some())
}

/// Raises the estimate of one that has not ended to what was seen of it.
pub(crate) async fn raise(conn: Conn<'_>, seen: &Placed<'_>) -> Result<(), StoreError> {
    if let Some(output) = most_output(seen) {
        conn.execute(RAISE_OUTPUT, args![seen.id, output]).await?;
    }
    Ok(())
}

fn most_output(end: &Placed<'_>) -> Option<i64> {
    let usages = end.record.token_usages.iter();
    usages.map(|usage| usage.output_tokens.clamp(0, MOST_TOKENS)).max()
}

/// Makes room for the lists that the end brings: one that tells nothing takes nothing back. True where its token usages are to stand, too.
pub(crate) async fn clear(tx: &mut Tx, end: &Placed<'_>) -> Result<bool, StoreError> {
    if !end.record.tool_usages.is_empty() {
        tx.conn().execute(DELETE_TOOL_USAGES, args![end.id]).await?;
    }
    if !end.record.model_thoughts.is_empty() {
        tx.conn().execute(DELETE_MODEL_THOUGHTS, args![end.id]).await?;
    }
    let usages = &end.record.token_usages;
    if usages.iter().any(|usage| !usage.estimated) {
        tx.conn().execute(DELETE_TOKEN_USAGES, args![end.id]).await?;
        return Ok(true);
    }
    if let Some(output) = most_output(end) {
        tx.conn().execute(ESTIMATE_OUTPUT, args![end.id, output]).await?;
    }
    Ok(false)
}
