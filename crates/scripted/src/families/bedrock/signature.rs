//! AWS's signatures (SigV4), worked out by hand after its documentation: what the gateway makes with the vendor's crate is measured
//! against this.

use aws_lc_rs::{digest, hmac};
use http::request::Parts;
use std::fmt::Write as _;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

/// The key of AWS's documentation: the one that is known here.
const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const REGION: &str = "us-east-1";
const SERVICE: &str = "bedrock";
/// How a session token begins that works no more.
const EXPIRED: &str = "expired";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far a clock may be off.
const TOLERANCE: Duration = Duration::minutes(5);

/// The type of a refusal, and what it says.
pub(super) type Refusal = (&'static str, String);

/// Whether a value of `authorization` is a signature.
pub(super) fn is_one(authorization: &str) -> bool {
    authorization.starts_with(ALGORITHM)
}

/// Checks the signature of a request; one without is left to others.
pub(super) fn check(parts: &Parts, body: &[u8], now: OffsetDateTime) -> Result<(), Refusal> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let Some(authorization) = header("authorization").filter(|value| is_one(value)) else {
        return Ok(());
    };
    let invalid = |message: &str| ("InvalidSignatureException", message.to_owned());
    let incomplete = || {
        (
            "IncompleteSignatureException",
            "Authorization header lacks a parameter.".to_owned(),
        )
    };
    let part = |name: &str| {
        let mut parts = authorization[ALGORITHM.len()..].split(',').map(str::trim);
        parts.find_map(|part| part.strip_prefix(name)).ok_or_else(incomplete)
    };
    let (credential, signed, signature) = (part("Credential=")?, part("SignedHeaders=")?, part("Signature=")?);
    let (id, scope) = credential.split_once('/').ok_or_else(incomplete)?;
    let [day, region, service, "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
        return Err(incomplete());
    };
    if id != KEY_ID {
        let message = "The security token included in the request is invalid.";
        return Err(("UnrecognizedClientException", message.to_owned()));
    }
    if service != SERVICE {
        return Err(invalid("Credential should be scoped to correct service: 'bedrock'."));
    }
    if region != REGION {
        return Err(invalid("Credential should be scoped to a valid region."));
    }
    let names: Vec<_> = signed.split(';').collect();
    let must_be = |name: &str| name == "host" || name.starts_with("x-amz");
    let mut sent = parts.headers.keys().map(http::HeaderName::as_str);
    if let Some(name) = sent.find(|name| must_be(name) && !names.contains(name)) {
        return Err(invalid(&format!(
            "'{name}' must be a 'SignedHeader' in the AWS Authorization."
        )));
    }
    let date = header("x-amz-date").ok_or_else(incomplete)?;
    check_clock(date, day, now)?;
    if header("x-amz-security-token").is_some_and(|token| token.starts_with(EXPIRED)) {
        let message = "The security token included in the request is expired";
        return Err(("ExpiredTokenException", message.to_owned()));
    }
    let canonical = canonical(parts, &names, body);
    let text = format!("{ALGORITHM}\n{date}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let key = [day, region, service, "aws4_request"]
        .into_iter()
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, part| mac(&key, part));
    if hex(&mac(&key, &text)) != signature {
        return Err(invalid(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
        ));
    }
    Ok(())
}

fn check_clock(date: &str, day: &str, now: OffsetDateTime) -> Result<(), Refusal> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let read = PrimitiveDateTime::parse(date, format)
        .ok()
        .filter(|_| date.starts_with(day));
    let invalid = |message: String| Err(("InvalidSignatureException", message));
    let Some(read) = read.map(PrimitiveDateTime::assume_utc) else {
        return invalid(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP".to_owned(),
        );
    };
    let text = |time: OffsetDateTime| time.format(format).unwrap_or_default();
    if read < now - TOLERANCE {
        return invalid(format!(
            "Signature expired: {date} is now earlier than {}",
            text(now - TOLERANCE)
        ));
    }
    if read > now + TOLERANCE {
        return invalid(format!(
            "Signature not yet current: {date} is still later than {}",
            text(now + TOLERANCE)
        ));
    }
    Ok(())
}

/// The request as it is signed.
fn canonical(parts: &Parts, signed: &[&str], body: &[u8]) -> String {
    let headers = signed.iter().fold(String::new(), |mut text, name| {
        let values = parts
            .headers
            .get_all(*name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let values = values.map(|value| value.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
        let _ = writeln!(text, "{name}:{}", values.collect::<Vec<_>>().join(","));
        text
    });
    let mut query: Vec<_> = parts.uri.query().unwrap_or_default().split('&').collect();
    query.sort_unstable();
    let (method, path) = (&parts.method, escaped(parts.uri.path()));
    format!(
        "{method}\n{path}\n{}\n{headers}\n{}\n{}",
        query.join("&"),
        signed.join(";"),
        sha256(body)
    )
}

/// The path, which is on the wire already, escaped once more.
fn escaped(path: &str) -> String {
    path.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            _ => drop(write!(text, "%{byte:02X}")),
        }
        text
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use time::macros::datetime;

    /// The canonical request and the key of the test suite that AWS publishes (`get-vanilla` and the signing key of its documentation).
    #[test]
    fn the_published_examples_come_out() {
        let request = Request::get("/").header("host", "example.amazonaws.com");
        let (parts, ()) = request
            .header("x-amz-date", "20150830T123600Z")
            .body(())
            .unwrap()
            .into_parts();
        let canonical = canonical(&parts, &["host", "x-amz-date"], b"");
        let hash = "bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63";
        assert_eq!(sha256(canonical.as_bytes()), hash);
        let scope = "20150830/us-east-1/service/aws4_request";
        let key = scope
            .split('/')
            .fold(b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec(), |key, part| {
                mac(&key, part)
            });
        let text = format!("{ALGORITHM}\n20150830T123600Z\n{scope}\n{hash}");
        let signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        assert_eq!(hex(&mac(&key, &text)), signature);
    }

    #[test]
    fn a_signature_holds_for_five_minutes() {
        let check = |now| check_clock("20261201T030000Z", "20261201", now).map_err(|(_, message)| message);
        assert_eq!(check(datetime!(2026-12-01 03:04:59 UTC)), Ok(()));
        assert_eq!(check(datetime!(2026-12-01 02:55:01 UTC)), Ok(()));
        let late = check(datetime!(2026-12-01 04:00:00 UTC)).unwrap_err();
        assert_eq!(
            late,
            "Signature expired: 20261201T030000Z is now earlier than 20261201T035500Z"
        );
        assert!(
            check(datetime!(2026-12-01 02:00:00 UTC))
                .unwrap_err()
                .starts_with("Signature not yet current")
        );
        assert!(check_clock("20261201T030000Z", "20261202", datetime!(2026-12-01 03:00:00 UTC)).is_err());
    }
}
