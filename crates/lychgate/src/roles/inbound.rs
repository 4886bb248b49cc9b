//! What a role's data plane takes from clients: how much, and from the pages of which origins.

use super::args::InboundArgs;
use crate::config::Settings;
use crate::config::byte_size::ByteSize;
use lychgate_gateway::{BodyBudgetLimits, CorsOrigin, Options};
use std::ops::RangeInclusive;

/// Less than this is less than clients send; more, one user could hold too much of.
const BODY_BYTES: RangeInclusive<u64> = 64 << 10..=128 << 20;
/// Less than this is less than clients send; more, a stranger may hold.
const HEAD_BYTES: RangeInclusive<u64> = 8 << 10..=1 << 20;

/// The settings for requests; `None`: the default.
#[derive(Debug, Clone, Default)]
pub(crate) struct InboundSettings {
    body_bytes: Option<usize>,
    head_bytes: Option<usize>,
    cors: Vec<CorsOrigin>,
}

impl InboundSettings {
    /// Reads them.
    pub(crate) fn read(settings: &mut Settings, args: InboundArgs) -> Self {
        let mut cors = Vec::new();
        for given in settings.list("cors-origin", args.cors_origin) {
            match given.text.parse() {
                Ok(origin) => cors.push(origin),
                Err(why) => settings.problem(format!("{}: `{}`: {why}", given.origin, given.text)),
            }
        }
        Self {
            body_bytes: bytes(settings, "max-body-bytes", args.max_body_bytes, BODY_BYTES),
            head_bytes: bytes(settings, "max-head-bytes", args.max_head_bytes, HEAD_BYTES),
            cors,
        }
    }

    /// Applies them to a data plane's options.
    pub(crate) fn apply(self, options: Options) -> Options {
        let body_limit = self.body_bytes.unwrap_or(options.body_limit);
        Options {
            body_limit,
            body_budget: BodyBudgetLimits::holding(body_limit),
            head_limit: self.head_bytes.unwrap_or(options.head_limit),
            cors: self.cors,
            ..options
        }
    }
}

fn bytes(
    settings: &mut Settings,
    name: &'static str,
    flag: Option<String>,
    bounds: RangeInclusive<u64>,
) -> Option<usize> {
    let given = settings.text(name, flag)?;
    let why = match given.text.parse() {
        Ok(ByteSize(bytes)) if bounds.contains(&bytes) => return usize::try_from(bytes).ok(),
        Ok(_) => format!("it takes {} to {} bytes", bounds.start(), bounds.end()),
        Err(why) => why.to_string(),
    };
    settings.problem(format!("{}: `{}`: {why}", given.origin, given.text));
    None
}
