//! Gathers everything that is wrong with a request, so that one answer tells it all.

use crate::api::error::{ApiError, Validation};
use crate::api::problem_code::ProblemCode;
use lychgate_store::{Cursor, Page};
use lychgate_types::{Name, Username};
use std::fmt::Display;
use std::str::FromStr;

/// Collects what is not valid.
#[derive(Default)]
pub(crate) struct Validations {
    found: Vec<Validation>,
    /// So many of them have the right form.
    refused: usize,
    /// The rule that a name breaks.
    broken_name_rule: Option<String>,
}

impl Validations {
    /// Notes that a field is not valid.
    pub(crate) fn add(&mut self, field: impl Into<String>, detail: impl Display) {
        self.found.push(Validation {
            field: field.into(),
            detail: detail.to_string(),
        });
    }

    /// Notes that a field has the right form, and can't be taken all the same.
    pub(crate) fn refuse(&mut self, field: impl Into<String>, detail: impl Display) {
        self.refused += 1;
        self.add(field, detail);
    }

    /// Keeps a good value, notes a bad one.
    pub(crate) fn check<T, E: Display>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.add(field, error)).ok()
    }

    /// Reads an optional text.
    pub(crate) fn parse<T>(&mut self, field: &str, text: Option<&str>) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.check(field, text.map(str::parse).transpose()).flatten()
    }

    /// Reads a name; a bad one gives the answer the code `invalid_name`.
    pub(crate) fn name(&mut self, field: &str, text: &str) -> Option<Name> {
        self.named(field, Name::parse(text))
    }

    /// Reads a username; a bad one gives the answer the code `invalid_name`.
    pub(crate) fn username(&mut self, field: &str, text: &str) -> Option<Username> {
        self.named(field, Username::parse(text))
    }

    fn named<T, E: Display>(&mut self, field: &str, read: Result<T, E>) -> Option<T> {
        if let Err(rule) = &read {
            self.broken_name_rule.get_or_insert_with(|| rule.to_string());
        }
        self.check(field, read)
    }

    /// Reads `limit` (1 to 200, default 50) and `after`.
    pub(crate) fn page(&mut self, limit: Option<&str>, after: Option<&str>) -> Page {
        let limit = match limit.map(str::parse::<u32>) {
            None => 50,
            Some(Ok(limit @ 1..=200)) => limit,
            Some(_) => {
                self.add("limit", "must be a whole number from 1 to 200");
                50
            }
        };
        let after = after.and_then(|text| match text.parse::<Cursor>() {
            Ok(cursor) => Some(cursor),
            Err(_) => {
                self.add("after", "not a cursor: use the `next` of the previous page, unchanged");
                None
            }
        });
        Page { limit, after }
    }

    /// Gives the value back where nothing was found to be wrong. Call before the first effect.
    pub(crate) fn all<T>(self, value: Option<T>) -> Result<T, ApiError> {
        match (value, self.broken_name_rule) {
            (Some(value), _) if self.found.is_empty() => Ok(value),
            (_, Some(rule)) => Err(ApiError::invalid(ProblemCode::InvalidName, rule, self.found)),
            _ if self.refused == self.found.len() => Err(ApiError::invalid(
                ProblemCode::ValueRefused,
                "a value can't be taken; see validations",
                self.found,
            )),
            _ => Err(ApiError::invalid(
                ProblemCode::InvalidRequest,
                "the request is invalid; see validations",
                self.found,
            )),
        }
    }
}
