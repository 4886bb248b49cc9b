//! One setting of a policy, as documents and errors tell of it, and the declaration of a group of settings. Not here: which
//! settings there are.

use crate::Texts;
use crate::json::whole_or_null;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::ops::RangeInclusive;

/// A policy's field whose value is out of bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be between {least} and {most}")]
pub struct PolicyError {
    /// The field, with dots: `retry.max_attempts`.
    pub field: &'static str,
    /// The least value that it takes.
    pub least: u32,
    /// The greatest value that it takes.
    pub most: u32,
}

/// One setting of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name with dots: `retry.max_attempts`.
    pub field: &'static str,
    /// What it means, in Markdown.
    pub meaning: &'static str,
    /// What holds where nothing is said.
    pub default: SettingValue,
    /// What it takes.
    pub takes: Takes,
}

/// The values that a setting takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takes {
    /// Whole numbers within bounds.
    Whole(RangeInclusive<u32>),
    /// `true` and `false`.
    Flag,
    /// One of these words.
    Word(Vec<&'static str>),
}

/// The value of a setting; in JSON a number, a boolean or a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum SettingValue {
    /// A whole number.
    Whole(u32),
    /// `true` or `false`.
    Flag(bool),
    /// A word.
    Word(&'static str),
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Word(word) => f.write_str(word),
        }
    }
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bounds) => write!(f, "{} to {}", bounds.start(), bounds.end()),
            Self::Flag => f.write_str("true or false"),
            Self::Word(words) => f.write_str(&words.join(", ")),
        }
    }
}

impl Setting {
    /// Whether the value is within bounds; only a whole number can be out of them.
    pub(super) fn check(&self, value: SettingValue) -> Result<(), PolicyError> {
        match (&self.takes, value) {
            (Takes::Whole(bounds), SettingValue::Whole(number)) if !bounds.contains(&number) => Err(PolicyError {
                field: self.field,
                least: *bounds.start(),
                most: *bounds.end(),
            }),
            _ => Ok(()),
        }
    }
}

/// The type of a setting's field.
pub(super) trait SettingType: Copy + for<'de> Deserialize<'de> {
    /// The value, whatever its type.
    fn value(self) -> SettingValue;
    /// What it takes; the bounds are a whole number's.
    fn takes(bounds: Option<RangeInclusive<u32>>) -> Takes;
    /// Reads it, or null.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        Option::deserialize(deserializer)
    }
}

/// For `#[serde(deserialize_with = "…")]`.
pub(super) fn setting_or_null<'de, D: Deserializer<'de>, T: SettingType>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::read(deserializer)
}

impl SettingType for u32 {
    fn value(self) -> SettingValue {
        SettingValue::Whole(self)
    }
    fn takes(bounds: Option<RangeInclusive<u32>>) -> Takes {
        Takes::Whole(bounds.unwrap_or(0..=Self::MAX))
    }
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        whole_or_null(deserializer)
    }
}

impl SettingType for bool {
    fn value(self) -> SettingValue {
        SettingValue::Flag(self)
    }
    fn takes(_: Option<RangeInclusive<u32>>) -> Takes {
        Takes::Flag
    }
}

impl<T: Texts + for<'de> Deserialize<'de>> SettingType for T {
    fn value(self) -> SettingValue {
        SettingValue::Word(self.text())
    }
    fn takes(_: Option<RangeInclusive<u32>>) -> Takes {
        Takes::Word(T::ALL.iter().map(|word| word.text()).collect())
    }
}

/// Declares a group of settings, each with its type, default and, for whole numbers, bounds, and the change of such a group.
macro_rules! settings {
    ($(#[$doc:meta])* $name:ident, $change:ident in $group:literal {
        $($(#[doc = $fdoc:literal])* $field:ident: $type:ty = $default:expr $(, $bounds:expr)?;)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name { $($(#[doc = $fdoc])* pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self { Self { $($field: $default,)* } }
        }

        impl $name {
            fn settings() -> [Setting; [$(stringify!($field)),*].len()] {
                [$(Setting {
                    field: concat!($group, stringify!($field)),
                    meaning: concat!($($fdoc),*),
                    default: <$type as SettingType>::value($default),
                    takes: <$type as SettingType>::takes([$($bounds)?].into_iter().next()),
                },)*]
            }

            fn values(&self) -> [SettingValue; [$(stringify!($field)),*].len()] { [$(SettingType::value(self.$field)),*] }

            /// Gives every setting that is out of bounds its default, and adds which those were.
            fn reset_misfits(&mut self, misfits: &mut Vec<PolicyError>) {
                let [$($field),*] = Self::settings();
                $(if let Err(error) = $field.check(SettingType::value(self.$field)) {
                    self.$field = $default;
                    misfits.push(error);
                })*
            }
        }

        #[doc = concat!("A change of [`", stringify!($name), "`]: what is `None` is left as it is.")]
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields, expecting = "an object of settings")]
        pub struct $change {
            $($(#[doc = $fdoc])* #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "setting_or_null")] pub $field: Option<$type>,)*
        }

        impl $change {
            fn is_empty(&self) -> bool { *self == Self::default() }
            fn over(self, base: $name) -> $name { $name { $($field: self.$field.unwrap_or(base.$field),)* } }
            fn then(self, later: Self) -> Self { Self { $($field: later.$field.or(self.$field),)* } }
        }
    };
}
pub(super) use settings;
