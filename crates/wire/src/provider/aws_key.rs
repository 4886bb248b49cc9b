//! Keys of AWS as they are written: one text for what AWS hands out as two or three.
//!
//! Not here: signing with them (crate `gateway`).

/// A key with which requests are signed: `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, or `ACCESS_KEY_ID:SECRET_ACCESS_KEY:SESSION_TOKEN` where
/// it works for a while only. Without `Debug`: it has a secret in it.
#[allow(missing_debug_implementations, reason = "it has a secret in it")]
pub struct AwsKey<'a> {
    /// Names the key; no secret.
    pub id: &'a str,
    /// What signatures are made with.
    pub secret: &'a str,
    /// Goes along with every request.
    pub session: Option<&'a str>,
}

impl<'a> AwsKey<'a> {
    /// `None` for a text of another form.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (id, secret, session) = (parts.next()?, parts.next()?, parts.next());
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let fits = is_id && is_plain(secret) && session.is_none_or(is_plain);
        fits.then_some(Self { id, secret, session })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_two_parts_or_three() {
        let read = |text| AwsKey::parse(text).map(|key| (key.id, key.secret, key.session));
        assert_eq!(read("AKIA_1:se/cr+et"), Some(("AKIA_1", "se/cr+et", None)));
        assert_eq!(read("ASIA:secret:to:ken=="), Some(("ASIA", "secret", Some("to:ken=="))));
        for wrong in [
            "",
            "ABSKkey",
            "AKIA:",
            ":secret",
            "AKIA:secret:",
            "AKIA:se cret",
            "AK/IA:secret",
            "ABSK+k=:x",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
