//! The paths that a provider type's list is made of, and what is on the list by one of them.
//!
//! Servers differ in what they take for the same path: an empty segment, a dot, an escape, a parameter behind a `;`. So only
//! segments are let through that there is one reading of.

use crate::limits::NAME_BYTES;
use lychgate_types::provider::Api;
use std::borrow::Cow;
use std::fmt;

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
    /// What follows the provider's name in the client's path, up to the operation: `/v1` with OpenAI.
    pub root: &'static str,
    /// The rest of the client's path: what is asked for, by a name that all types of a wire family have for it. A route may lead
    /// from one type to another that offers it, wherever it does so.
    ///
    /// Segment by segment. `{id}` stands for one segment of letters, digits and `_.:~-`; `{model}` for one without `:`, but with
    /// [`Self::model_letters`]. A verb may follow it in the same segment, behind a
    /// colon: `{model}:generateContent`. `{project}` and `{location}` stand for one like `{id}` that has to be the provider's setting of that
    /// name. `{v1|v2}` stands for either word. All of this goes for the root, too.
    pub operation: &'static str,
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
    /// Its answers list the provider's models, or show one.
    pub shows_models: bool,
    /// Whether its answers are streams, where that is for the path to say and not for the body.
    pub streams: Option<bool>,
    /// Its requests are also made over a WebSocket, one in each message.
    pub websocket: bool,
    /// Letters that names of models have: `:` and `@`, also as escapes, and `/`, only as one.
    pub model_letters: &'static str,
    /// What comes before the names of models elsewhere than here, where the path has others than the type's own: such a model is stored at the
    /// provider, and belongs to who made it.
    pub model_prefix: &'static str,
    /// The model may be an ARN (`arn:…`), whose slashes some clients don't escape.
    pub takes_arns: bool,
}

/// The operations of each list below the root that goes with it. An earlier one counts where several offer the same.
pub(crate) const fn below<const LISTS: usize, const PATHS: usize>(
    lists: [(&'static str, &[AllowedPath]); LISTS],
) -> [AllowedPath; PATHS] {
    let mut all = [lists[0].1[0]; PATHS];
    let (mut at, mut list) = (0, 0);
    while list < LISTS {
        let (root, operations) = lists[list];
        let mut operation = 0;
        while operation < operations.len() {
            all[at] = operations[operation];
            all[at].root = root;
            at += 1;
            operation += 1;
        }
        list += 1;
    }
    assert!(at == PATHS, "a list is longer or shorter than was said");
    all
}

/// The methods of a path that is only read. What answers to `GET` answers to `HEAD`.
pub(crate) const GET: &str = "GET, HEAD";
/// The method of a path that is only written to.
pub(crate) const POST: &str = "POST";

impl AllowedPath {
    /// A path that only passes through.
    pub(crate) const fn unrecorded(path: &'static str, methods: &'static str) -> Self {
        Self {
            root: "",
            operation: path,
            methods,
            api: None,
            family: None,
            lists: false,
            changes_nothing: false,
            names_object: false,
            read_as: None,
            shows: None,
            shows_models: false,
            streams: None,
            websocket: false,
            model_letters: ":",
            model_prefix: "",
            takes_arns: false,
        }
    }

    /// A path that lists the provider's models, or shows one.
    pub(crate) const fn models(path: &'static str) -> Self {
        Self {
            shows_models: true,
            ..Self::unrecorded(path, GET)
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

    /// A path whose models have these letters in their names, too.
    pub(crate) const fn with_model_letters(self, letters: &'static str) -> Self {
        Self {
            model_letters: letters,
            ..self
        }
    }

    /// A path whose models are stored, under names that begin so elsewhere.
    pub(crate) const fn with_model_prefix(self, prefix: &'static str) -> Self {
        Self {
            model_prefix: prefix,
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
        if !self.names_object {
            return None;
        }
        let at = self.segments().position(|segment| segment == "{id}")?;
        segments(path).nth(at)
    }

    /// The names of the settings that [`Self::settings_in`] finds.
    #[cfg(test)]
    pub(crate) fn settings(&self) -> impl Iterator<Item = &'static str> {
        self.segments().filter_map(setting)
    }

    /// The settings of a provider that a client's path names, with their values there, where this is that path.
    pub fn settings_in<'p>(&self, path: &'p str) -> impl Iterator<Item = (&'static str, &'p str)> {
        let all = self.segments().zip(segments(path));
        all.filter_map(|(segment, value)| Some((setting(segment)?, value)))
    }

    /// Whether the path names the model, so that the body need not.
    pub fn names_model(&self) -> bool {
        self.place_of_model().is_some()
    }

    /// A client's path with the slashes of an ARN escaped, as the provider has to get it.
    pub fn canonical<'p>(&self, path: &'p str) -> Cow<'p, str> {
        let slashes = |path: &str| path.bytes().filter(|byte| *byte == b'/').count();
        if !self.takes_arns || !path.starts_with('/') {
            return path.into();
        }
        let Some((at, "")) = self.place_of_model() else {
            return path.into();
        };
        let more = slashes(path).saturating_sub(slashes(self.root) + slashes(self.operation));
        let is_arn = |segment: &str| {
            ["arn:", "arn%3A", "arn%3a"]
                .iter()
                .any(|scheme| segment.starts_with(scheme))
        };
        if more == 0 || !segments(path).nth(at).is_some_and(is_arn) {
            return path.into();
        }
        let mut canonical = String::with_capacity(path.len() + 2 * more);
        for (number, segment) in segments(path).enumerate() {
            let is_within = number > at && number <= at + more;
            canonical.push_str(if is_within { "%2F" } else { "/" });
            canonical.push_str(segment);
        }
        canonical.into()
    }

    /// The model that a client's path names, where this is that path, with its escapes resolved.
    pub fn model_in<'p>(&self, path: &'p str) -> Option<Cow<'p, str>> {
        if let Cow::Owned(canonical) = self.canonical(path) {
            return self.model_in(&canonical).map(|model| model.into_owned().into());
        }
        let (at, verb) = self.place_of_model()?;
        let name = without_verb(segments(path).nth(at)?, verb)?;
        match self.model_prefix {
            "" if !name.contains('%') => return Some(name.into()),
            "" => {}
            prefix => return Some([prefix, name].concat().into()),
        }
        let escapes = [("%2F", "/"), ("%2f", "/"), ("%3A", ":"), ("%3a", ":"), ("%40", "@")];
        let resolved = escapes
            .iter()
            .fold(name.to_owned(), |name, (escape, letter)| name.replace(escape, letter));
        Some(resolved.into())
    }

    /// A client's path with another model in it, where this is that path and it names one. `None` for a model that no segment of a
    /// path can be.
    pub fn with_model(&self, path: &str, model: &str) -> Option<String> {
        self.written(segments(&self.canonical(path)), model)
    }

    /// This path for a model, which it need not name. `None` for a model that no segment of a path can be, and where an id would
    /// have to be known.
    pub fn for_model(&self, model: &str) -> Option<String> {
        self.written(std::iter::empty(), model)
    }

    /// `ids` are in the segments of a path that this one is.
    fn written<'a>(&self, mut ids: impl Iterator<Item = &'a str>, model: &str) -> Option<String> {
        let mut path = String::with_capacity(self.root.len() + self.operation.len() + model.len());
        for segment in self.segments() {
            let id = ids.next();
            path.push('/');
            match (segment, segment.strip_prefix("{model}")) {
                ("{id}", _) => path.push_str(id?),
                _ if setting(segment).is_some() => path.push_str(id?),
                (_, Some(verb)) => {
                    let name = model.strip_prefix(self.model_prefix)?.replace('/', "%2F");
                    if !is_model(&name, self.model_letters) {
                        return None;
                    }
                    path.push_str(&name);
                    path.push_str(verb);
                }
                // Of several words the client's is kept.
                (_, None) => {
                    let mut words = alternatives(segment);
                    let first = words.next();
                    path.push_str(id.filter(|id| words.any(|word| word == *id)).or(first)?);
                }
            }
        }
        Some(path)
    }

    /// Which segment names the model, and the verb that follows it there, with its colon.
    fn place_of_model(&self) -> Option<(usize, &'static str)> {
        // Most paths are plain words, which costs less to see than to cut.
        if !self.operation.contains('{') && !self.root.contains('{') {
            return None;
        }
        let mut segments = self.segments().enumerate();
        segments.find_map(|(at, segment)| Some((at, segment.strip_prefix("{model}")?)))
    }

    fn segments(&self) -> impl Iterator<Item = &'static str> {
        segments(self.root).chain(segments(self.operation))
    }

    /// Whether a segment of a client's path is one of this path's own words, in its place or elsewhere.
    pub fn has_word(&self, segment: &str) -> bool {
        self.segments().flat_map(alternatives).any(|word| word == segment)
    }

    /// Whether a request with this method may be sent again where it is not known whether it arrived.
    pub fn may_repeat(&self, method: &str) -> bool {
        self.changes_nothing || matches!(method, "GET" | "HEAD")
    }

    /// Whether the method is one of this path's.
    pub fn allows(&self, method: &str) -> bool {
        self.methods.split(", ").any(|allowed| allowed == method)
    }

    /// Whether it is this path that a client's path is.
    pub fn matches(&self, path: &str) -> bool {
        let path = &*self.canonical(path);
        if !self.root.contains('{') {
            return path.strip_prefix(self.root).is_some_and(|rest| self.offers(rest));
        }
        path.starts_with('/') && all_fit(self.segments(), segments(path), self.model_letters)
    }

    /// Whether what follows the root is this operation.
    pub fn offers(&self, rest: &str) -> bool {
        if !self.operation.contains('{') {
            return rest == self.operation;
        }
        rest.starts_with('/') && all_fit(segments(self.operation), segments(rest), self.model_letters)
    }
}

impl fmt::Display for AllowedPath {
    /// As a client writes it, with its place-holders.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.root, self.operation)
    }
}

/// What stands behind each slash of a path.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').skip(1)
}

fn all_fit<'w, 'f>(
    mut wanted: impl Iterator<Item = &'w str>,
    mut found: impl Iterator<Item = &'f str>,
    model_letters: &str,
) -> bool {
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(segment)) if fits(wanted, segment, model_letters) => {}
            _ => return false,
        }
    }
}

fn fits(wanted: &str, segment: &str, model_letters: &str) -> bool {
    match (wanted, wanted.strip_prefix("{model}")) {
        ("{id}", _) => is_id(segment),
        _ if setting(wanted).is_some() => is_id(segment),
        (_, Some(verb)) => without_verb(segment, verb).is_some_and(|name| is_model(name, model_letters)),
        (_, None) => alternatives(wanted).any(|wanted| wanted == segment),
    }
}

/// The setting that a segment of an entry stands for.
fn setting(wanted: &str) -> Option<&str> {
    let name = wanted.strip_prefix('{')?.strip_suffix('}')?;
    matches!(name, "project" | "location").then_some(name)
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

/// The same for the name of a model: whether it is made of such segments also for those who resolve its escapes, and no longer than
/// any name that is recorded.
fn is_model(segment: &str, letters: &str) -> bool {
    let has_colon = segment.contains(':') || segment.contains("%3");
    if segment.len() > NAME_BYTES || (has_colon && !letters.contains(':')) {
        return false;
    }
    const SLASH: &str = "%2F";
    let mut rest = segment;
    loop {
        let slash = rest
            .as_bytes()
            .windows(SLASH.len())
            .position(|part| part.eq_ignore_ascii_case(SLASH.as_bytes()));
        let part = &rest[..slash.unwrap_or(rest.len())];
        if !is_model_part(part, letters.contains('@')) {
            return false;
        }
        match slash {
            Some(_) if !letters.contains('/') => return false,
            Some(slash) => rest = &rest[slash + SLASH.len()..],
            None => return true,
        }
    }
}

fn is_model_part(part: &str, takes_at: bool) -> bool {
    let mut left = part;
    // Pieces between `:` and `@`, of which the dots alone would still climb in some reader's eyes.
    while let Some(at) = left.find(['%', '@']) {
        let (before, mark) = left.split_at(at);
        let after = match mark.get(..3) {
            Some("%3A" | "%3a") => &mark[3..],
            Some("%40") if takes_at => &mark[3..],
            _ if takes_at && mark.starts_with('@') => &mark[1..],
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
mod tests;
