//! Enums with one canonical text per variant.

/// An enum with one canonical text per variant, as [`text_enum!`](crate::text_enum!) declares them.
pub trait Texts: Copy + PartialEq + 'static {
    /// Every variant.
    const ALL: &'static [Self];

    /// The canonical text.
    fn text(self) -> &'static str;

    /// What it means: its doc comment, on one line.
    fn description(self) -> &'static str;
}

/// Declares public enums with one canonical text per variant, used alike in JSON, the database, the link, the CLI and metrics.
///
/// ```
/// lychgate_types::text_enum! {
///     /// How a job ended.
///     Ending {
///         /// All of it was done.
///         Done = "done",
///         /// It was given up.
///         GivenUp = "given_up",
///     }
/// }
/// assert_eq!("given_up".parse(), Ok(Ending::GivenUp));
/// assert_eq!(Ending::Done.as_str(), "done");
/// assert_eq!(lychgate_types::Texts::description(Ending::Done), "All of it was done.");
/// ```
#[macro_export]
macro_rules! text_enum {
    ($($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)* })*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[doc = $doc])+ $variant,)* }

        impl $name {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The canonical text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl $crate::Texts for $name {
            const ALL: &'static [Self] = Self::ALL;
            fn text(self) -> &'static str { self.as_str() }
            fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownText;
            fn from_str(text: &str) -> Result<Self, $crate::UnknownText> {
                match text { $($text => Ok(Self::$variant),)* _ => Err($crate::UnknownText(&[$($text,)*])) }
            }
        }

        impl $crate::__serde::Serialize for $name {
            fn serialize<S: $crate::__serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> $crate::__serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::__serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text: std::borrow::Cow<'de, str> = $crate::__serde::Deserialize::deserialize(deserializer)?;
                text.parse().map_err(<D::Error as $crate::__serde::de::Error>::custom)
            }
        }
    )* };
}

/// Text that is none of an enum's values; its message lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownText(pub &'static [&'static str]);

impl std::fmt::Display for UnknownText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "must be one of: {}", self.0.join(", "))
    }
}

impl std::error::Error for UnknownText {}

#[cfg(test)]
mod tests {
    #![expect(unreachable_pub, reason = "the macro declares what a crate exports")]

    use crate::Texts as _;

    text_enum! {
        /// What the weather is like.
        Weather {
            /// Sunshine: a doc comment
            /// of two lines.
            Fair = "fair",
            /// Rain.
            Foul = "foul",
        }
    }

    #[test]
    fn one_text_everywhere() {
        for (weather, text) in [(Weather::Fair, "fair"), (Weather::Foul, "foul")] {
            assert_eq!((weather.as_str(), weather.to_string().as_str()), (text, text));
            assert_eq!(text.parse(), Ok(weather));
            let json = format!("\"{text}\"");
            assert_eq!(serde_json::to_string(&weather).unwrap(), json);
            assert_eq!(serde_json::from_str::<Weather>(&json).unwrap(), weather);
        }
        assert_eq!(Weather::ALL, [Weather::Fair, Weather::Foul]);
        assert_eq!(Weather::Fair.description(), "Sunshine: a doc comment of two lines.");
    }

    #[test]
    fn other_text_is_refused_with_what_there_is() {
        let unknown = "Fair".parse::<Weather>().unwrap_err();
        assert_eq!(unknown.to_string(), "must be one of: fair, foul");
        let error = serde_json::from_str::<Weather>("\"mild\"").unwrap_err().to_string();
        assert!(error.starts_with("must be one of: fair, foul"), "{error}");
        assert!(serde_json::from_str::<Weather>("1").is_err());
    }
}
