//! The paths that a provider type's list is made of, and what is on the list by one of them.
//!
//! Servers differ in what they take for the same path: an empty segment, a dot, an escape, a parameter behind a `;`. So only
//! segments are let through that there is one reading of.

use lychgate_types::provider::Api;
use std::borrow::Cow;

/// A family of paths that a provider's policy switches on and off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `relay.files`: files, and uploads in parts.
    Files,
    /// `relay.batches`
    Batches,
    /// `relay.vector_stores`
    VectorStores,
    /// `relay.containers`
    Containers,
    /// `relay.skills`
    Skills,
}

/// A path that is relayed.
#[derive(Debug, Clone, Copy)]
pub struct AllowedPath {
    /// What follows the provider's name in the client's path, segment by segment. `{id}` stands for one segment of letters,
    /// digits and `_.:~-`; `{model}` for one with `@`, and with `:`, `@` and `/` as escapes, too, since names of models have
    /// them. A verb may follow it in the same segment, behind a colon: `{model}:generateContent`. `{v1|v2}` stands for either word.
    pub path: &'static str,
    /// The methods, as an `Allow` header lists them.
    pub methods: &'static str,
    /// The API whose exchanges are recorded; `None` for what only passes through.
    pub api: Option<Api>,
    /// What switches it on and off beside its API.
    pub family: Option<Family>,
    /// Reading it lists what everybody has made with the same key.
    pub lists: bool,
    /// Its requests change nothing, whatever the method, so that one may be sent again.
    pub changes_nothing: bool,
    /// Its first `{id}` names an object that the provider stores, which belongs to who made it.
    pub names_object: bool,
    /// The API as whose requests its bodies are read for the stored objects that they name, though they are not recorded.
    pub read_as: Option<Api>,
    /// Its answer is that object, which the provider may have made in the background, as this API shows it.
    pub shows: Option<Api>,
    /// Whether its answers are streams, where that is for the path to say and not for the body.
    pub streams: Option<bool>,
}

/// The methods of a path that is only read. What answers to `GET` answers to `HEAD`.
pub(crate) const GET: &str = "GET, HEAD";
/// The method of a path that is only written to.
pub(crate) const POST: &str = "POST";

impl AllowedPath {
    /// A path that only passes through.
    pub(crate) const fn unrecorded(path: &'static str, methods: &'static str) -> Self {
        Self {
            path,
            methods,
            api: None,
            family: None,
            lists: false,
            changes_nothing: false,
            names_object: false,
            read_as: None,
            shows: None,
            streams: None,
        }
    }

    /// A path that only passes through and answers a question, by `POST` because the question is long.
    pub(crate) const fn question(path: &'static str) -> Self {
        Self {
            changes_nothing: true,
            ..Self::unrecorded(path, POST)
        }
    }

    /// The same, for a question that names stored objects as requests of an API do.
    pub(crate) const fn question_about(path: &'static str, api: Api) -> Self {
        Self {
            read_as: Some(api),
            ..Self::question(path)
        }
    }

    /// A path whose exchanges are recorded.
    pub(crate) const fn recorded(path: &'static str, api: Api) -> Self {
        Self {
            api: Some(api),
            ..Self::unrecorded(path, POST)
        }
    }

    /// A path whose answers are streams, or are none, whatever the body says.
    pub(crate) const fn streaming(self, streams: bool) -> Self {
        Self {
            streams: Some(streams),
            ..self
        }
    }

    /// A path below an object that the provider stores. What changes it is recorded; reading it is not.
    pub(crate) const fn object(path: &'static str, methods: &'static str) -> Self {
        Self {
            api: Some(Api::OpenAiObjects),
            names_object: true,
            ..Self::unrecorded(path, methods)
        }
    }

    /// A path below a response, whose answer shows that response.
    pub(crate) const fn response(path: &'static str, methods: &'static str) -> Self {
        Self {
            shows: Some(Api::OpenAiResponses),
            ..Self::object(path, methods)
        }
    }

    /// A path of a family where objects are made.
    pub(crate) const fn made(path: &'static str, api: Api, family: Family) -> Self {
        Self {
            family: Some(family),
            ..Self::recorded(path, api)
        }
    }

    /// The same, where reading it lists the objects.
    pub(crate) const fn list(path: &'static str, api: Api, family: Family) -> Self {
        Self {
            methods: "GET, HEAD, POST",
            lists: true,
            ..Self::made(path, api, family)
        }
    }

    /// A path below an object of a family.
    pub(crate) const fn stored(path: &'static str, methods: &'static str, api: Api, family: Family) -> Self {
        Self {
            api: Some(api),
            family: Some(family),
            ..Self::object(path, methods)
        }
    }

    /// The same, whose answer shows that object.
    pub(crate) const fn shown(path: &'static str, methods: &'static str, api: Api, family: Family) -> Self {
        Self {
            shows: Some(api),
            ..Self::stored(path, methods, api, family)
        }
    }

    /// The API that a request with this method is recorded as.
    pub fn recorded_as(&self, method: &str) -> Option<Api> {
        self.api.filter(|_| !matches!(method, "GET" | "HEAD"))
    }

    /// The id of the stored object that a client's path names, where this is that path.
    pub fn object_in<'p>(&self, path: &'p str) -> Option<&'p str> {
        let at = self.path.split('/').position(|segment| segment == "{id}")?;
        path.split('/').nth(at).filter(|_| self.names_object)
    }

    /// Whether the path names the model, so that the body need not.
    pub fn names_model(&self) -> bool {
        self.place_of_model().is_some()
    }

    /// The model that a client's path names, where this is that path, with its escapes resolved.
    pub fn model_in<'p>(&self, path: &'p str) -> Option<Cow<'p, str>> {
        let (at, verb) = self.place_of_model()?;
        let name = without_verb(path.split('/').nth(at)?, verb)?;
        if !name.contains('%') {
            return Some(name.into());
        }
        let escapes = [("%2F", "/"), ("%2f", "/"), ("%3A", ":"), ("%3a", ":"), ("%40", "@")];
        let resolved = escapes
            .iter()
            .fold(name.to_owned(), |name, (escape, letter)| name.replace(escape, letter));
        Some(resolved.into())
    }

    /// A client's path with another model in it, where this is that path and it names one. `None` also for a model that no
    /// segment of a path can be.
    pub fn with_model(&self, path: &str, model: &str) -> Option<String> {
        let (at, verb) = self.place_of_model()?;
        let name = model.replace('/', "%2F");
        if !is_model(&name) {
            return None;
        }
        let renamed = |(index, segment): (usize, &str)| match index == at {
            true => format!("{name}{verb}"),
            false => segment.to_owned(),
        };
        Some(path.split('/').enumerate().map(renamed).collect::<Vec<_>>().join("/"))
    }

    /// Which segment names the model, and the verb that follows it there, with its colon.
    fn place_of_model(&self) -> Option<(usize, &'static str)> {
        let mut segments = self.path.split('/').enumerate();
        segments.find_map(|(at, segment)| Some((at, segment.strip_prefix("{model}")?)))
    }

    /// Whether a request with this method may be sent again where it is not known whether it arrived.
    pub fn may_repeat(&self, method: &str) -> bool {
        self.changes_nothing || matches!(method, "GET" | "HEAD")
    }

    /// Whether the method is one of this path's.
    pub fn allows(&self, method: &str) -> bool {
        self.methods.split(", ").any(|allowed| allowed == method)
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        if !self.path.contains('{') {
            return path == self.path;
        }
        let mut wanted = self.path.split('/');
        let mut found = path.split('/');
        loop {
            match (wanted.next(), found.next()) {
                (None, None) => return true,
                (Some(wanted), Some(segment)) if fits(wanted, segment) => {}
                _ => return false,
            }
        }
    }
}

fn fits(wanted: &str, segment: &str) -> bool {
    match (wanted, wanted.strip_prefix("{model}")) {
        ("{id}", _) => is_id(segment),
        (_, Some(verb)) => without_verb(segment, verb).is_some_and(is_model),
        (_, None) => alternatives(wanted).any(|wanted| wanted == segment),
    }
}

/// The words that a segment of an entry stands for: `{v1|v2}` for either.
pub(super) fn alternatives(wanted: &str) -> impl Iterator<Item = &str> {
    let listed = wanted.strip_prefix('{').and_then(|wanted| wanted.strip_suffix('}'));
    listed.unwrap_or(wanted).split('|')
}

/// What stands before a verb (with its colon), which clients may have escaped; all of it where there is no verb.
fn without_verb<'s>(segment: &'s str, verb: &str) -> Option<&'s str> {
    let Some(verb) = verb.strip_prefix(':') else {
        return Some(segment);
    };
    let name = segment.strip_suffix(verb)?;
    [":", "%3A", "%3a"].iter().find_map(|colon| name.strip_suffix(colon))
}

/// Whether all readers take a segment of a path for the same, and for one.
pub(super) fn is_id(segment: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'~' | b'-');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
}

/// The same for the name of a model: whether it is made of such segments also for those who resolve its escapes.
fn is_model(segment: &str) -> bool {
    const SLASH: &str = "%2F";
    let mut rest = segment;
    loop {
        let slash = rest
            .as_bytes()
            .windows(SLASH.len())
            .position(|part| part.eq_ignore_ascii_case(SLASH.as_bytes()));
        let part = &rest[..slash.unwrap_or(rest.len())];
        if !is_model_part(part) {
            return false;
        }
        match slash {
            Some(slash) => rest = &rest[slash + SLASH.len()..],
            None => return true,
        }
    }
}

fn is_model_part(part: &str) -> bool {
    let mut left = part;
    // Pieces between `:` and `@`, of which the dots alone would still climb in some reader's eyes.
    while let Some(at) = left.find(['%', '@']) {
        let (before, mark) = left.split_at(at);
        let after = match mark.get(..3) {
            Some("%3A" | "%3a" | "%40") => &mark[3..],
            _ if mark.starts_with('@') => &mark[1..],
            _ => return false,
        };
        if !is_id(before) {
            return false;
        }
        left = after;
    }
    is_id(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_holder_is_one_segment_that_all_readers_take_for_the_same() {
        let of = |path| AllowedPath::unrecorded(path, "GET");
        for (segment, id, model) in [
            ("resp_0123-a.b:c~d", true, true),
            ("gpt-4.1..x", true, true),
            ("...", true, true),
            ("", false, false),
            (".", false, false),
            ("..", false, false),
            ("a/b", false, false),
            ("a;b", false, false),
            ("a b", false, false),
            ("a%20b", false, false),
            ("..%20", false, false),
            ("%2e%2e", false, false),
            ("%c0%ae%c0%ae", false, false),
            ("．．", false, false),
            ("a\\b", false, false),
            ("a@b", false, true),
            ("org%2Fmodel%3Afree%40x", false, true),
            ("org%2fmodel%3afree", false, true),
            ("%2Fmodel", false, false),
            ("org%2F", false, false),
            ("org%2F%2Fmodel", false, false),
            ("org%2F..%2Ffiles", false, false),
            ("org%2F.%3Ax", false, false),
            ("a@", false, false),
            ("%", false, false),
            ("%2", false, false),
            ("a%3", false, false),
            ("a%é", false, false),
            ("a%252Fb", false, false),
        ] {
            assert_eq!(of("/v1/x/{id}").matches(&format!("/v1/x/{segment}")), id, "{segment}");
            assert_eq!(
                of("/v1/x/{model}").matches(&format!("/v1/x/{segment}")),
                model,
                "{segment}"
            );
            assert_eq!(of("/{id}/items").matches(&format!("/{segment}/items")), id, "{segment}");
        }
        for (segment, model) in [
            ("gemini-x:generateContent", Some("gemini-x")),
            ("gemini-x%3AgenerateContent", Some("gemini-x")),
            ("gemini-x%3agenerateContent", Some("gemini-x")),
            ("claude-x@2025%2Fy:generateContent", Some("claude-x@2025/y")),
            ("a:b:generateContent", Some("a:b")),
            ("a:generatecontent", None),
            ("a:generateContent:", None),
            ("a:%67enerateContent", None),
            ("generateContent", None),
            (":generateContent", None),
            ("..:generateContent", None),
            ("..%2Fx:generateContent", None),
            ("a:streamGenerateContent", None),
        ] {
            let verb = of("/v1/x/{model}:generateContent");
            let path = format!("/v1/x/{segment}");
            let found = verb.matches(&path).then(|| verb.model_in(&path).unwrap());
            assert_eq!(found.as_deref(), model, "{segment}");
        }
        for path in ["/v1/x", "/v1/x/a/", "/v1/x/a/b", "v1/x/a", "//v1/x/a", "/v1//x/a"] {
            assert!(!of("/v1/x/{id}").matches(path), "{path}");
        }
    }

    #[test]
    fn another_model_takes_the_place_of_the_one_that_a_path_names() {
        let of = |path| AllowedPath::unrecorded(path, "POST");
        for (path, before, model, after) in [
            (
                "/v1/models/{model}:go",
                "/v1/models/a%3Ago",
                "b",
                Some("/v1/models/b:go"),
            ),
            (
                "/d/{model}/chat",
                "/d/a/chat",
                "org/b:free@1",
                Some("/d/org%2Fb:free@1/chat"),
            ),
            ("/d/{model}/chat", "/d/a/chat", "..", None),
            ("/d/{model}/chat", "/d/a/chat", "a/../b", None),
            ("/d/{model}/chat", "/d/a/chat", "a b", None),
            ("/d/{model}/chat", "/d/a/chat", "a?b", None),
            ("/d/{model}/chat", "/d/a/chat", "", None),
            ("/v1/chat", "/v1/chat", "b", None),
        ] {
            assert_eq!(of(path).with_model(before, model).as_deref(), after, "{path} {model}");
        }
    }
}
