//! What the registry says of the replicas.

use crate::deployment::Deployment;
use anyhow::Context as _;
use std::collections::HashSet;

/// A page of the registry.
const PAGE: usize = 200;

/// The ids of the attachments that the registry has now: replica and moment at which it attached.
pub(super) async fn attachments(deployment: &Deployment) -> anyhow::Result<HashSet<(String, String)>> {
    let (mut found, mut after) = (HashSet::new(), String::new());
    loop {
        let path = format!("/api/v1/ai-gateway/replicas?state=attached&limit={PAGE}{after}");
        let page = deployment.get(&path).await?;
        let replicas = page["replicas"].as_array().context("a page without replicas")?;
        found.extend(replicas.iter().filter_map(|replica| {
            let text = |field: &str| Some(replica[field].as_str()?.to_owned());
            Some((text("id")?, text("connected_since")?))
        }));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(found),
        }
    }
}
