//! Forms (`multipart/form-data`), read so that no server can read them otherwise: what is open to doubt is refused. Whose fields
//! are wanted says which; the others' contents are the provider's affair.
//!
//! Not here: which fields an API has (`providers`).

use crate::MalformedBody;
use crate::estimate::{FILE_BYTES, FRAME};
use crate::json::unique::is_spelling_of;
use crate::limits;
use memchr::memmem;

/// Longest boundary (RFC 2046, section 5.1.1).
const BOUNDARY_BYTES: usize = 70;

/// What comes between the parts of a form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Boundary<'a>(&'a [u8]);

impl<'a> Boundary<'a> {
    /// The boundary that a `content-type` names; `None` where it is not that of a form.
    pub(crate) fn of(content_type: &'a [u8]) -> Option<Result<Self, MalformedBody>> {
        let (kind, rest) = token(content_type.trim_ascii_start());
        let (slash, rest) = rest.split_first()?;
        let (subtype, rest) = token(rest);
        let is_form =
            *slash == b'/' && kind.eq_ignore_ascii_case(b"multipart") && subtype.eq_ignore_ascii_case(b"form-data");
        is_form.then(|| Self::among(rest))
    }

    fn among(parameters: &'a [u8]) -> Result<Self, MalformedBody> {
        let mut found = None;
        each_parameter(parameters, |name, value| {
            is_named(name, b"boundary", "boundary").map(|is| is && found.replace(value).is_some())
        })?;
        let boundary = found.ok_or(MalformedBody::Form("its content-type names no boundary"))?;
        let is_good = (1..=BOUNDARY_BYTES).contains(&boundary.len())
            && boundary.trim_ascii_end().len() == boundary.len()
            && boundary
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte));
        is_good
            .then_some(Self(boundary))
            .ok_or(MalformedBody::Form("its boundary is none"))
    }
}

/// The values of these fields.
pub(crate) fn fields<'a, const N: usize>(
    body: &'a [u8],
    boundary: Boundary<'_>,
    names: [&'static str; N],
) -> Result<[Option<&'a str>; N], MalformedBody> {
    let mut found = [None; N];
    each_part(body, boundary, |part| {
        // Some servers take `model[]` for a list with this name.
        let name = memchr::memchr(b'[', part.name).map_or(part.name, |at| &part.name[..at]);
        let Some(at) = names.iter().position(|known| is_spelling_of(name, known.as_bytes())) else {
            return Ok(());
        };
        if part.name != names[at].as_bytes() || found[at].is_some() {
            return Err(MalformedBody::Repeated(names[at]));
        }
        found[at] = Some(part.text()?);
        Ok(())
    })?;
    Ok(found)
}

/// Shows each part.
pub(crate) fn each_part<'a>(
    body: &'a [u8],
    Boundary(boundary): Boundary<'_>,
    mut show: impl FnMut(Part<'a>) -> Result<(), MalformedBody>,
) -> Result<(), MalformedBody> {
    let delimiter = [b"--", boundary].concat();
    let mut rest = body
        .strip_prefix(&delimiter[..])
        .ok_or(MalformedBody::Form("it does not begin with its boundary"))?;
    for _ in 0..=limits::FORM_PARTS {
        if let Some(after) = rest.strip_prefix(b"--") {
            let is_end = matches!(after, b"" | b"\r\n");
            return is_end
                .then_some(())
                .ok_or(MalformedBody::Form("something follows its end"));
        }
        let part = rest
            .strip_prefix(b"\r\n")
            .ok_or(MalformedBody::Form("its boundary is not on a line of its own"))?;
        // Wherever the boundary is, some server takes it for one.
        let end = memmem::find(part, &delimiter).ok_or(MalformedBody::Form("it has no end"))?;
        rest = &part[end + delimiter.len()..];
        let part = part[..end]
            .strip_suffix(b"\r\n")
            .ok_or(MalformedBody::Form("its boundary is not on a line of its own"))?;
        let head = memmem::find(part, b"\r\n\r\n").ok_or(MalformedBody::Form("a part has no head"))?;
        let value = &part[head + 4..];
        let Head {
            name,
            is_plain,
            is_file,
        } = Head::read(&part[..head])?;
        show(Part {
            name,
            value,
            is_plain,
            is_file,
        })?;
    }
    Err(MalformedBody::Form("it has too many parts"))
}

/// The words of a part's name: `tool[file_id]` has two, `file_ids[]` has one, and behind it one without letters.
pub(crate) fn words(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80 || *byte == b'_';
    let closed = name.split(move |byte| *byte != b']' && !is_letter(byte));
    closed.flat_map(|word| word.strip_suffix(b"]").unwrap_or(word).split(|byte| *byte == b']'))
}

/// A part of a form.
pub(crate) struct Part<'a> {
    pub(crate) name: &'a [u8],
    value: &'a [u8],
    is_plain: bool,
    is_file: bool,
}

impl<'a> Part<'a> {
    /// Bytes of text that the model is given by it, about.
    pub(crate) fn text_bytes(&self) -> u64 {
        match self.is_plain {
            true if FRAME.contains(&self.name) => 0,
            true => self.value.len() as u64,
            false => FILE_BYTES,
        }
    }

    /// What it holds, unless that is a file.
    pub(crate) fn value(&self) -> Option<&'a [u8]> {
        (!self.is_file).then_some(self.value)
    }

    /// The value of a field.
    pub(crate) fn text(&self) -> Result<&'a str, MalformedBody> {
        if !self.is_plain {
            return Err(MalformedBody::Form(
                "a field that should be plain text is a file, or coded",
            ));
        }
        std::str::from_utf8(self.value).map_err(|_| MalformedBody::Form("a field is not UTF-8"))
    }
}

/// The head of a part.
struct Head<'a> {
    name: &'a [u8],
    /// The part is neither a file nor in a coding or character set of its own.
    is_plain: bool,
    is_file: bool,
}

impl<'a> Head<'a> {
    fn read(head: &'a [u8]) -> Result<Self, MalformedBody> {
        const UNREADABLE: MalformedBody = MalformedBody::Form("the head of a part can't be read");
        let mut found = None;
        let (mut is_plain, mut is_file) = (true, false);
        let mut rest = head;
        while !rest.is_empty() {
            let end = memmem::find(rest, b"\r\n");
            let line = &rest[..end.unwrap_or(rest.len())];
            rest = end.map_or(&[], |end| &rest[end + 2..]);
            let (field, value) = token(line);
            let value = value.strip_prefix(b":").ok_or(UNREADABLE)?.trim_ascii();
            // Line breaks of other kinds, too.
            if field.is_empty() || value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
                return Err(UNREADABLE);
            }
            if field.eq_ignore_ascii_case(b"content-disposition") {
                let (kind, parameters) = token(value);
                let mut name = None;
                each_parameter(parameters, |parameter, value| {
                    is_file |= parameter.to_ascii_lowercase().starts_with(b"filename");
                    is_named(parameter, b"name", "name").map(|is| is && name.replace(value).is_some())
                })?;
                if !kind.eq_ignore_ascii_case(b"form-data") || found.is_some() || name.is_none() {
                    return Err(MalformedBody::Form("a part has no name, or more than one"));
                }
                found = name;
            } else if field.eq_ignore_ascii_case(b"content-transfer-encoding") {
                is_plain &= [&b"7bit"[..], b"8bit", b"binary"]
                    .iter()
                    .any(|coding| value.eq_ignore_ascii_case(coding));
            } else if field.eq_ignore_ascii_case(b"content-type") {
                is_plain &= is_plain_text(value);
            }
        }
        let name = found.ok_or(MalformedBody::Form("a part has no name, or more than one"))?;
        Ok(Self {
            name,
            is_plain: is_plain && !is_file,
            is_file,
        })
    }
}

/// Whether a `content-type` is that of text whose ASCII letters are ASCII.
fn is_plain_text(content_type: &[u8]) -> bool {
    let split = content_type.split_at_checked(b"text/plain".len());
    split.is_some_and(|(kind, parameters)| {
        kind.eq_ignore_ascii_case(b"text/plain")
            && each_parameter(parameters, |name, value| {
                let is_harmless = [&b"utf-8"[..], b"us-ascii"]
                    .iter()
                    .any(|charset| value.eq_ignore_ascii_case(charset));
                is_named(name, b"charset", "charset").map(|is| is && !is_harmless)
            })
            .is_ok()
    })
}

/// Whether a parameter has this name. An error where it has it in a form that only some servers know (`name*`, `name*0`).
fn is_named(parameter: &[u8], wanted: &[u8], shown: &'static str) -> Result<bool, MalformedBody> {
    let end = memchr::memchr(b'*', parameter);
    let is = parameter[..end.unwrap_or(parameter.len())].eq_ignore_ascii_case(wanted);
    match end {
        Some(_) if is => Err(MalformedBody::Repeated(shown)),
        _ => Ok(is),
    }
}

/// Shows each of a header's parameters, which begin with a semicolon. An error where they can't be told apart, or where `show`
/// says that this one is not to be there.
fn each_parameter<'a>(
    mut rest: &'a [u8],
    mut show: impl FnMut(&'a [u8], &'a [u8]) -> Result<bool, MalformedBody>,
) -> Result<(), MalformedBody> {
    const UNREADABLE: MalformedBody = MalformedBody::Form("the parameters of a header can't be read");
    loop {
        rest = rest.trim_ascii();
        if rest.is_empty() {
            return Ok(());
        }
        rest = rest.strip_prefix(b";").ok_or(UNREADABLE)?.trim_ascii_start();
        if rest.is_empty() {
            return Ok(());
        }
        let (name, after) = token(rest);
        let after = after
            .strip_prefix(b"=")
            .filter(|_| !name.is_empty())
            .ok_or(UNREADABLE)?;
        let (value, after) = match after.strip_prefix(b"\"") {
            Some(quoted) => {
                let end = memchr::memchr(b'"', quoted).ok_or(UNREADABLE)?;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => token(after),
        };
        // A quote behind it ends the value for some and not for others.
        if value.ends_with(b"\\") || show(name, value)? {
            return Err(UNREADABLE);
        }
        rest = after;
    }
}

/// The token that a text begins with (RFC 9110, section 5.6.2), and what follows it.
fn token(text: &[u8]) -> (&[u8], &[u8]) {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    text.split_at(text.iter().take_while(|byte| is_part(byte)).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISPOSITION: &str = "content-disposition: form-data; name=model";

    fn read(content_type: &str, body: &str) -> Result<Option<String>, MalformedBody> {
        let boundary = Boundary::of(content_type.as_bytes()).expect("a form")?;
        fields(body.as_bytes(), boundary, ["model"]).map(|[model]| model.map(str::to_owned))
    }

    fn part(head: &str) -> String {
        format!("--x\r\n{head}\r\n\r\nm\r\n--x--\r\n")
    }

    fn form(body: &str) -> Result<Option<String>, MalformedBody> {
        read("multipart/form-data; boundary=x", body)
    }

    #[test]
    fn boundaries_are_what_the_content_type_says() {
        for content_type in [
            "multipart/form-data; boundary=x",
            "Multipart/Form-Data;charset=utf-8; BOUNDARY=\"x\";",
        ] {
            assert_eq!(
                read(content_type, &part(DISPOSITION)),
                Ok(Some("m".into())),
                "{content_type}"
            );
        }
        let long = "x".repeat(71);
        for content_type in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=x; boundary=x",
            "multipart/form-data; boundary=x; boundary*=utf-8''y",
            "multipart/form-data; boundary=x, multipart/form-data; boundary=y",
            "multipart/form-data; boundary=\"x",
            "multipart/form-data; boundary=\"x \"",
            "multipart/form-data boundary=x",
            &format!("multipart/form-data; boundary={long}"),
        ] {
            let boundary = Boundary::of(content_type.as_bytes());
            assert!(boundary.is_some_and(|boundary| boundary.is_err()), "{content_type}");
        }
        for content_type in ["application/json", "multipart/mixed; boundary=x", "", "multipart"] {
            assert!(Boundary::of(content_type.as_bytes()).is_none(), "{content_type}");
        }
    }

    #[test]
    fn names_are_read_however_they_are_written() {
        for head in [
            "Content-Disposition:form-data;NAME=model",
            "content-disposition: form-data ; name=\"model\" ; x=y",
            "content-type: text/plain; charset=UTF-8\r\ncontent-transfer-encoding: 8bit\r\ncontent-disposition: Form-Data; x=\"; name=n\"; name=model",
        ] {
            assert_eq!(form(&part(head)), Ok(Some("m".into())), "{head}");
        }
        for head in [
            "content-disposition: form-data; filename=model; name=image",
            "content-disposition: form-data; filename=\"C:\\name=model\"; name=\"image[]\"",
            "content-disposition: form-data; name=\"\"",
            "content-disposition: form-data; name=file; filename=\"é.wav\"\r\ncontent-type: audio/wav; codecs=1",
        ] {
            assert_eq!(form(&part(head)), Ok(None), "{head}");
        }
    }

    #[test]
    fn what_servers_may_read_differently_is_refused() {
        for head in [
            "content-disposition: form-data; name=Model",
            "content-disposition: form-data; name=\"model[]\"",
            "content-disposition: form-data; name*=utf-8''model",
            "content-disposition: form-data; name*0=mo; name*1=del",
            "content-disposition: form-data; name=n; name=model",
            "content-disposition: form-data; filename=\"a\\\"; name=\"model\"",
            "content-disposition: form-data; filename=f; name=model",
            "content-disposition: form-data; filename*=utf-8''f; name=model",
            "content-disposition: form-data; name=\"model",
            "content-disposition: form-data; name =model",
            "content-disposition: form-data",
            "content-disposition: attachment; name=model",
            "content-disposition: form-data; name=n\r\ncontent-disposition: form-data; name=model",
            "content-disposition: form-data; name=n\ncontent-disposition: form-data; name=model",
            "content-disposition: form-data;\r\n name=model",
            "content-disposition : form-data; name=model",
            "content-disposition: form-data; name=model\r\ncontent-transfer-encoding: base64",
            "content-disposition: form-data; name=model\r\ncontent-type: text/plain; charset=utf-16",
            "content-disposition: form-data; name=model\r\ncontent-type: text/plain; charset=utf-16; x=utf-8",
            "content-disposition: form-data; name=model\r\ncontent-type: application/json",
            "content-type: text/plain",
            "x",
        ] {
            assert!(form(&part(head)).is_err(), "{head}");
        }
    }

    #[test]
    fn a_form_is_nothing_but_its_parts() {
        let whole = part(DISPOSITION);
        let twice = whole.replace("--x--\r\n", &whole);
        for body in [
            // What comes before is passed over by some, and may look like a form itself.
            format!("\r\n{whole}"),
            format!("--fake\r\n{DISPOSITION}\r\n\r\nn\r\n--fake--\r\n{whole}"),
            format!("{whole}{whole}"),
            format!("{whole}\r\n"),
            whole.replace("--x--", "--x"),
            whole.replace("--x\r\n", "--x \r\n"),
            whole.replace("\r\n--x--", "\n--x--"),
            whole.replace("m\r\n", "m\n--x\r\n"),
            whole.replace("m\r\n", "m\r\n--xy\r\n"),
            whole.replace("\r\n\r\n", "\r\n"),
            "--x".into(),
            String::new(),
        ] {
            assert!(matches!(form(&body), Err(MalformedBody::Form(_))), "{body}");
        }
        assert_eq!(form(&twice), Err(MalformedBody::Repeated("model")));
        assert_eq!(form("--x--"), Ok(None));
        let other = "--x\r\ncontent-disposition: form-data; name=n\r\n\r\n\r\n";
        let with = |others| [&other.repeat(others), &whole[..]].concat();
        assert_eq!(form(&with(limits::FORM_PARTS - 1)), Ok(Some("m".into())));
        assert!(form(&with(limits::FORM_PARTS)).is_err());
    }
}
