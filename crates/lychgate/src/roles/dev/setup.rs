//! The credentials of `lychgate dev`: the owner's token, a member with a token, a gateway key for the replica.

use crate::client::{ApiClient, CallError, ServerUrl};
use crate::config::read_secret;
use crate::config::secret_file;
use crate::failure::{Failure, Outcome};
use crate::terminal::output::note;
use lychgate_types::secret::{GatewayKeySecret, UserTokenSecret};
use serde_json::{Value, json};
use std::path::Path;

/// The member that `lychgate dev` creates.
const MEMBER: &str = "dev";
/// The gateway key that it creates.
const KEY: &str = "dev";
/// That key, in the data directory: what the replica's spool holds is sealed for it.
const KEY_FILE: &str = "dev-gateway-key";
/// The member's token, in the data directory.
pub(crate) const MEMBER_TOKEN_FILE: &str = "dev-token";

/// The owner's token from the data directory, checked to work.
pub(crate) async fn owner_token(url: &ServerUrl, data_dir: &Path) -> Outcome<UserTokenSecret> {
    let path = data_dir.join(lychgate_control::OWNER_TOKEN_FILE);
    let useless = |why: String| {
        Failure::Failed(format!(
            "the owner's token in {} can't be used: {why}. Put a token of an owner there, or start with another --data-dir",
            path.display()
        ))
    };
    let text = read_secret(&path).map_err(useless)?;
    let token = UserTokenSecret::parse(&text).map_err(|why| useless(format!("not a user token: {why}")))?;
    let who = match ApiClient::new(vec![url.clone()], &token)?.get("whoami").await {
        Ok(who) => who,
        Err(CallError::Problem(problem)) if problem.status == 401 => {
            return Err(useless("it was revoked or has expired".to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    match who["role"].as_str() {
        Some("owner") => Ok(token),
        _ => Err(useless("it is not an owner's".to_owned())),
    }
}

/// Ensures that there is a member with a working token in the data directory.
pub(crate) async fn member_token(api: &ApiClient, url: &ServerUrl, data_dir: &Path) -> Outcome {
    let user = match api.get(&format!("users/{MEMBER}")).await {
        Err(error) if error.status() == Some(404) => {
            api.post("users", &json!({ "username": MEMBER, "role": "member" }))
                .await?
        }
        other => other?,
    };
    if user["state"] == "suspended" {
        note(&format!(
            "user {MEMBER} is suspended, so its token does not work; activate it with `lychgate users activate {MEMBER}`"
        ));
        return Ok(());
    }
    let path = data_dir.join(MEMBER_TOKEN_FILE);
    if works(url, &path).await? {
        return Ok(());
    }
    let answer = api
        .post_for_secret("tokens", &json!({ "user": MEMBER, "name": MEMBER }))
        .await?;
    let token = secret(&answer, "token")?;
    secret_file::replace(&path, token).map_err(|why| Failure::Failed(format!("can't write {}: {why}", path.display())))
}

/// Whether the file holds a token that works. A file that is missing or damaged, or a token that was revoked, does not.
async fn works(url: &ServerUrl, path: &Path) -> Outcome<bool> {
    let Some(token) = read_secret(path)
        .ok()
        .and_then(|text| UserTokenSecret::parse(&text).ok())
    else {
        return Ok(false);
    };
    match ApiClient::new(vec![url.clone()], &token)?.get("whoami").await {
        Ok(_) => Ok(true),
        // A token whose scopes do not let it see its own user: it works.
        Err(error) if error.status() == Some(403) => Ok(true),
        Err(error) if error.status() == Some(401) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The gateway key of the last start, or a new one that replaces it.
pub(crate) async fn gateway_key(api: &ApiClient, data_dir: &Path) -> Outcome<GatewayKeySecret> {
    let path = data_dir.join(KEY_FILE);
    let kept = read_secret(&path).ok();
    if let Some(key) = kept.and_then(|text| GatewayKeySecret::parse(&text).ok())
        && let Ok(known) = api.get(&format!("ai-gateway/keys/{KEY}")).await
        && known["key_prefix"] == key.prefix()
        && known["state"] == "active"
    {
        return Ok(key);
    }
    match api.delete(&format!("ai-gateway/keys/{KEY}")).await {
        Err(error) if error.status() != Some(404) => return Err(error.into()),
        _ => {}
    }
    let body = json!({ "name": KEY, "description": "of the replica of `lychgate dev`" });
    let answer = api.post_for_secret("ai-gateway/keys", &body).await?;
    let key = secret(&answer, "key")?;
    secret_file::replace(&path, key)
        .map_err(|why| Failure::Failed(format!("can't write {}: {why}", path.display())))?;
    GatewayKeySecret::parse(key).map_err(Failure::failed)
}

fn secret<'a>(answer: &'a Value, field: &str) -> Outcome<&'a str> {
    answer[field]
        .as_str()
        .ok_or_else(|| Failure::Failed(format!("the control plane's answer has no `{field}`")))
}
