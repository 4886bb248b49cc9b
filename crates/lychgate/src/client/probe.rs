//! Asks what needs no token: whether a server or a replica is there, or ready.

use super::{ServerUrl, http_client, reason};
use crate::failure::{Failure, Outcome};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use std::time::Duration;

/// Such answers are a line or two.
const LIMIT: usize = 16 << 10;

/// `GET` without a token: the status and the text.
pub(crate) async fn probe(base: &ServerUrl, path: &str, limit: Duration) -> Outcome<(StatusCode, String)> {
    let http = http_client(std::slice::from_ref(base))?;
    let request = Request::get(format!("{base}{path}")).body(Full::<Bytes>::default());
    let request = request.map_err(Failure::failed)?;
    let exchange = async {
        let answer = http.request(request).await.map_err(|why| reason(&why))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LIMIT)
            .collect()
            .await
            .map_err(|why| why.to_string())?;
        Ok((head.status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
    };
    match tokio::time::timeout(limit, exchange).await {
        Ok(answer) => answer.map_err(|why: String| Failure::Failed(format!("{base} does not answer: {why}"))),
        Err(_) => Err(Failure::Failed(format!(
            "{base} did not answer within {} seconds",
            limit.as_secs()
        ))),
    }
}
