//! The options that restrict a gateway key, and the request members that they become.

use super::super::name_or_id;
use crate::config::duration;
use crate::failure::{Failure, Outcome};
use lychgate_types::{Ambient, Cidr, Timestamp};
use serde_json::{Map, Value};
use std::time::Duration;

/// What a key can be given on creation or later.
#[derive(Debug, clap::Args)]
pub(super) struct BoundsArgs {
    /// Description
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// When the key expires, for example 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Timestamp>,
    /// How long from now until the key expires, for example 90d
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, conflicts_with = "expires_at")]
    expires_in: Option<Duration>,
    /// Provider that its replicas may serve, by name or id; repeatable [default: all]
    #[arg(long, value_name = "PROVIDER")]
    provider: Vec<String>,
    /// Network that its replicas may connect from, for example 10.20.0.0/16; repeatable [default: any]
    #[arg(long, value_name = "CIDR")]
    allow_cidr: Vec<Cidr>,
}

/// What can be removed from a key.
#[derive(Debug, clap::Args)]
pub(super) struct UnboundArgs {
    /// Remove the description
    #[arg(long, conflicts_with = "description")]
    no_description: bool,
    /// Remove the expiry
    #[arg(long, conflicts_with_all = ["expires_at", "expires_in"])]
    no_expiry: bool,
    /// Let its replicas serve all providers
    #[arg(long, conflicts_with = "provider")]
    all_providers: bool,
    /// Let its replicas connect from any network
    #[arg(long, conflicts_with = "allow_cidr")]
    allow_anywhere: bool,
}

impl BoundsArgs {
    /// The request members for the options that were given.
    pub(super) fn members(self, ambient: &Ambient) -> Outcome<Map<String, Value>> {
        let mut members = Map::new();
        if let Some(text) = self.description {
            members.insert("description".to_owned(), text.into());
        }
        let in_time = self.expires_in.map(|time| ambient.now().plus(time));
        if let Some(at) = self.expires_at.or(in_time) {
            members.insert("expires_at".to_owned(), at.to_string().into());
        }
        if !self.provider.is_empty() {
            let names: Vec<String> = self
                .provider
                .iter()
                .map(|name| name_or_id(name))
                .collect::<Outcome<_>>()?;
            members.insert("providers".to_owned(), names.into());
        }
        if !self.allow_cidr.is_empty() {
            let networks: Vec<String> = self.allow_cidr.iter().map(Cidr::to_string).collect();
            members.insert("allowed_cidrs".to_owned(), networks.into());
        }
        Ok(members)
    }
}

impl UnboundArgs {
    /// The whole change; an empty one is an error.
    pub(super) fn patch(self, bounds: BoundsArgs, ambient: &Ambient) -> Outcome<Value> {
        let mut patch = bounds.members(ambient)?;
        for (given, member) in [
            (self.no_description, "description"),
            (self.no_expiry, "expires_at"),
            (self.all_providers, "providers"),
            (self.allow_anywhere, "allowed_cidrs"),
        ] {
            if given {
                patch.insert(member.to_owned(), Value::Null);
            }
        }
        if patch.is_empty() {
            return Err(Failure::Usage(
                "nothing to change: give at least one of --description, --expires-at, --expires-in, --provider and --allow-cidr, \
                 or an option that removes one of them"
                    .to_owned(),
            ));
        }
        Ok(patch.into())
    }
}

/// The grace period of a rotation: a duration, or 0.
pub(super) fn grace(text: &str) -> Result<Duration, duration::DurationError> {
    match text {
        "0" | "0s" => Ok(Duration::ZERO),
        text => duration::parse(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use lychgate_types::clock::ManualClock;
    use lychgate_types::random::SystemRandom;
    use serde_json::json;
    use std::sync::Arc;

    #[derive(Parser)]
    struct Update {
        #[command(flatten)]
        bounds: BoundsArgs,
        #[command(flatten)]
        unbound: UnboundArgs,
    }

    fn ambient() -> Ambient {
        let start = "2026-11-24T09:30:00Z".parse().unwrap();
        Ambient::new(Arc::new(ManualClock::new(start)), Arc::new(SystemRandom))
    }

    fn patch(args: &[&str]) -> Outcome<Value> {
        let line = [&["update"], args].concat();
        let Update { bounds, unbound } = Update::try_parse_from(line).map_err(|why| Failure::Usage(why.to_string()))?;
        unbound.patch(bounds, &ambient())
    }

    #[test]
    fn a_patch_says_only_what_changes() {
        for (args, expected) in [
            (&["--description", "rack"][..], json!({"description": "rack"})),
            (
                &["--expires-in", "1d"],
                json!({"expires_at": "2026-11-25T09:30:00.000000Z"}),
            ),
            (
                &["--expires-at", "2027-01-01T00:00:00Z"],
                json!({"expires_at": "2027-01-01T00:00:00.000000Z"}),
            ),
            (
                &["--provider", "Claude", "--provider", "gpt"],
                json!({"providers": ["claude", "gpt"]}),
            ),
            (
                &["--allow-cidr", "10.0.0.0/8", "--allow-cidr", "::1"],
                json!({"allowed_cidrs": ["10.0.0.0/8", "::1/128"]}),
            ),
            (
                &["--no-description", "--no-expiry", "--all-providers", "--allow-anywhere"],
                json!({"description": null, "expires_at": null, "providers": null, "allowed_cidrs": null}),
            ),
        ] {
            assert_eq!(patch(args).unwrap(), expected);
        }
        for bad in [
            &[][..],
            &["--description", "rack", "--no-description"],
            &["--expires-in", "1d", "--no-expiry"],
            &["--expires-in", "1d", "--expires-at", "2027-01-01T00:00:00Z"],
            &["--provider", "a/b"],
            &["--allow-cidr", "10.0.0.1/8"],
        ] {
            assert_eq!(patch(bad).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }

    #[test]
    fn a_grace_period_may_be_zero() {
        assert_eq!(
            (grace("0"), grace("0s"), grace("24h")),
            (Ok(Duration::ZERO), Ok(Duration::ZERO), Ok(Duration::from_secs(86_400)))
        );
        assert!(grace("").is_err() && grace("00").is_err());
    }
}
