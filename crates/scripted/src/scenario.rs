//! The scenarios: what an answer can be told to be, by name.

macro_rules! scenarios {
    ($($(#[doc = $about:literal])+ $variant:ident = $name:literal)*) => {
        /// What the answer is to be. Chosen by the header `x-scripted`, else by the model's name, else by what the request says.
        /// The header may name several, apart by commas: one for each try of an SDK that counts its retries, the last for all later.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Scenario { $($(#[doc = $about])+ $variant,)* }

        impl Scenario {
            /// Every scenario, in the order in which they are explained.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in the header, or the model's.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it does, in a sentence.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => concat!($($about),+).trim(),)* }
            }
        }
    };
}

scenarios! {
    /// An answer in words that repeats what the user said.
    Text = "text"
    /// The model thinks first.
    Thinking = "thinking"
    /// The model asks for one tool.
    Tool = "tool"
    /// The model asks for two tools at once.
    Tools = "tools"
    /// Every kind of tool call that the API knows, the provider's own tools too.
    EveryTool = "every-tool"
    /// Part of the input came from the cache, part was written to it (five minutes and one hour).
    Cached = "cached"
    /// The answer stops at the token limit.
    MaxTokens = "max-tokens"
    /// The model refuses.
    Refusal = "refusal"
    /// Some 1,000 deltas.
    Long = "long"
    /// One event of 9 MiB.
    Huge = "huge"
    /// Usage where other servers put it: in every chunk, cumulative, asked for or not (Chat Completions).
    UsageEverywhere = "usage-everywhere"
    /// Usage in the chunk that ends the choice, asked for or not (Chat Completions).
    UsageLast = "usage-last"
    /// HTTP 400.
    Error400 = "error-400"
    /// HTTP 401.
    Error401 = "error-401"
    /// HTTP 403.
    Error403 = "error-403"
    /// HTTP 404: no such model.
    Error404 = "error-404"
    /// HTTP 429 with `retry-after`.
    Error429 = "error-429"
    /// HTTP 500.
    Error500 = "error-500"
    /// HTTP 503 with an HTML page, as a proxy before the provider would send.
    Error503 = "error-503"
    /// HTTP 529, overloaded.
    Error529 = "error-529"
    /// The stream breaks off with an error event.
    StreamError = "stream-error"
    /// The response fails after it began (Responses: `response.failed`); elsewhere the same as `stream-error`.
    Failed = "failed"
    /// The connection closes in the middle of an event.
    Cut = "cut"
    /// The connection is reset in the middle of an event.
    Reset = "reset"
    /// The body ends in good order, but before the last events.
    Early = "early"
    /// Two events are not JSON; the rest is in order.
    Malformed = "malformed"
    /// Comments, `id:` and `retry:` lines, unknown events and fields.
    Comments = "comments"
    /// Lines end in CR LF.
    Crlf = "crlf"
    /// Lines end in CR.
    Cr = "cr"
    /// Each event's data is spread over several `data:` lines.
    Multiline = "multiline"
    /// A byte order mark comes first.
    Bom = "bom"
    /// The bytes come in frames of seven that heed neither events nor characters.
    Split = "split"
    /// The last event lacks its blank line.
    Unterminated = "unterminated"
    /// Blank lines follow the last event.
    Trailing = "trailing"
    /// A pause of 20 ms before each event.
    Slow = "slow"
    /// The stream falls silent for over a second before its first event, and in its middle.
    Silent = "silent"
    /// The stream stops after some events and stays open.
    Idle = "idle"
    /// No answer at all; the connection stays open.
    Hang = "hang"
}

impl Scenario {
    /// The scenario of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scenario| scenario.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::Scenario;

    #[test]
    fn names_are_distinguished_and_explained() {
        for (at, scenario) in Scenario::ALL.iter().enumerate() {
            assert_eq!(Scenario::named(scenario.name()), Some(*scenario));
            assert_eq!(Scenario::ALL.iter().position(|s| s.name() == scenario.name()), Some(at));
            assert!(
                scenario.about().ends_with('.') || scenario.about().ends_with(')'),
                "{}",
                scenario.about()
            );
        }
        assert_eq!(Scenario::named("nonsense"), None);
    }
}
