//! Enums with one canonical text per variant.

/// An enum with one canonical text per variant, by [`texts!`](crate::texts).
pub trait Texts: Copy + PartialEq + 'static {
    /// Every variant.
    const ALL: &'static [Self];

    /// The canonical text.
    fn text(self) -> &'static str;
}

/// Gives an enum one canonical text per variant, used alike in JSON, the database, the link and the CLI.
#[macro_export]
macro_rules! texts {
    ($name:ident { $($variant:ident = $text:literal,)* }) => {
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
    };
}

/// Declares an enum that is written as its text in JSON too.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)* }

        $crate::texts!($name { $($variant = $text,)* });
    };
}
pub(crate) use text_enum;

/// Text that is none of an enum's values; says which there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownText(pub &'static [&'static str]);

impl std::fmt::Display for UnknownText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "must be one of: {}", self.0.join(", "))
    }
}

impl std::error::Error for UnknownText {}
