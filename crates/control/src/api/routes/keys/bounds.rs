//! What bounds a gateway key, as create and update take it: description, end, providers, networks.

use crate::api::validate::Validations;
use crate::state::App;
use lychgate_types::{Cidr, CidrError, Timestamp};

const MAX_DESCRIPTION: usize = 500;
const MAX_PROVIDERS: usize = 100;
const MAX_CIDRS: usize = 64;

/// A free text.
pub(super) fn check_description(validations: &mut Validations, text: &str) {
    if text.chars().count() > MAX_DESCRIPTION || text.chars().any(|c| c.is_control() && c != '\n') {
        validations.add(
            "description",
            "must have at most 500 characters, and no control characters except line breaks",
        );
    }
}

/// A time that is still to come.
pub(super) fn expires_at(validations: &mut Validations, app: &App, text: &str) -> Option<Timestamp> {
    let at = validations.parse::<Timestamp>("expires_at", Some(text))?;
    if at <= app.ambient.now() {
        validations.refuse("expires_at", "is in the past; to stop the key now, disable it");
    }
    Some(at)
}

/// Networks, each once.
pub(super) fn allowed_cidrs(validations: &mut Validations, texts: &[String]) -> Vec<Cidr> {
    check_count(validations, "allowed_cidrs", texts, MAX_CIDRS, "null means anywhere");
    let mut cidrs = Vec::with_capacity(texts.len().min(MAX_CIDRS));
    for (at, text) in texts.iter().enumerate() {
        let field = format!("allowed_cidrs[{at}]");
        match text.parse::<Cidr>() {
            Ok(cidr) if cidrs.contains(&cidr) => {}
            Ok(cidr) => cidrs.push(cidr),
            Err(why @ CidrError::HostBits { .. }) => validations.refuse(field, why),
            Err(why @ CidrError::Shape) => validations.add(field, why),
        }
    }
    cidrs
}

/// How many providers are named; which they are is asked of the store, once all else fits.
pub(super) fn check_providers(validations: &mut Validations, texts: &[String]) {
    check_count(validations, "providers", texts, MAX_PROVIDERS, "null stands for all");
}

fn check_count(validations: &mut Validations, field: &str, texts: &[String], most: usize, null: &str) {
    if texts.is_empty() || texts.len() > most {
        validations.add(field, format!("must hold 1 to {most}; {null}"));
    }
}
