//! What the registry says of the replicas.

use crate::targets::deployment::Deployment;
use anyhow::Context as _;
use std::collections::HashMap;

/// A page of the registry.
const PAGE: usize = 200;

/// When each attached replica attached, by its name.
pub(super) async fn attachments(deployment: &Deployment) -> anyhow::Result<HashMap<String, String>> {
    let (mut found, mut after) = (HashMap::new(), String::new());
    loop {
        let path = format!("/api/v1/ai-gateway/replicas?state=attached&limit={PAGE}{after}");
        let page = deployment.get(&path).await?;
        let replicas = page["replicas"].as_array().context("a page without replicas")?;
        found.extend(replicas.iter().filter_map(|replica| {
            let text = |field: &str| Some(replica[field].as_str()?.to_owned());
            Some((text("name")?, text("connected_since")?))
        }));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(found),
        }
    }
}
