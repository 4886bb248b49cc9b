//! The provider's own errors: status, headers and bytes reach the client as they are, asked for as a stream or not.

use super::row::Row;
use lychgate_scripted::{Endpoint, Script};
use serde_json::json;

const HTML: &str = "<html><head><title>502 Bad Gateway</title></head>\r\n</html>\r\n";

/// Every kind of error, blocking and streaming.
pub(super) fn errors(endpoint: Endpoint) -> Vec<Row> {
    let mut rows = Vec::new();
    for stream in [false, true] {
        if stream && endpoint == Endpoint::Embeddings {
            continue;
        }
        for (status, kind) in [
            (400, "invalid_request_error"),
            (401, "authentication_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (408, "timeout"),
            (409, "conflict"),
            (413, "request_too_large"),
            (422, "unprocessable"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (503, "overloaded"),
            (504, "timeout_error"),
            (529, "overloaded_error"),
        ] {
            let message = format!("error number {status}: größer als „{kind}“");
            let body = match endpoint {
                Endpoint::Messages => {
                    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})
                }
                _ => json!({"error": {"message": message, "type": kind, "param": null, "code": null}}),
            };
            let script = Script::json(status, format!("{body:#}\n"))
                .header("retry-after", "7")
                .header("x-should-retry", "true")
                .header("x-ratelimit-remaining-requests", "0")
                .header("anthropic-ratelimit-tokens-reset", "2026-01-01T00:00:00Z");
            rows.push(Row::error(endpoint, "an HTTP error", stream, script).records(json!({
                "upstream_status": status, "error_type": kind, "error_message": message,
            })));
        }
        let script = Script {
            headers: vec![
                ("content-type", "text/html".to_owned()),
                ("content-length", HTML.len().to_string()),
            ],
            ..Script::json(502, HTML.to_owned())
        };
        rows.push(Row::error(endpoint, "an error page", stream, script).records(json!({
            "upstream_status": 502, "error_type": "http_502",
            "error_message": "the provider answered 502 without an error that could be read",
        })));
        let script = Script {
            headers: vec![("content-length", "0".to_owned())],
            ..Script::json(500, String::new())
        };
        rows.push(
            Row::error(endpoint, "an error without words", stream, script).records(json!({
                "upstream_status": 500, "error_type": "http_500",
                "error_message": "the provider answered 500 without an error that could be read",
            })),
        );
    }
    rows
}
