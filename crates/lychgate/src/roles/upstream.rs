//! How a role's data plane reaches providers: which certificates it trusts, and which outbound proxies it uses.

use super::args::UpstreamArgs;
use crate::config::{Environment, Settings};
use lychgate_gateway::{CaCertificates, Options, OutboundProxy};

/// The settings for connections to providers.
#[derive(Debug, Clone, Default)]
pub(crate) struct UpstreamSettings {
    cas: CaCertificates,
    proxy: OutboundProxy,
}

impl UpstreamSettings {
    /// Reads `provider-ca-file`, and the proxies from the variables that all programs share.
    pub(crate) fn read(settings: &mut Settings, args: UpstreamArgs, environment: &Environment) -> Self {
        let mut read = Self::default();
        if let Some(given) = settings.text("provider-ca-file", args.provider_ca_file) {
            let pem = std::fs::read(&given.text).map_err(|why| format!("can't read the file: {why}"));
            match pem.and_then(|pem| CaCertificates::from_pem(&pem).map_err(|why| why.to_string())) {
                Ok(cas) => read.cas = cas,
                Err(why) => settings.problem(format!("{} {}: {why}", given.origin, given.text)),
            }
        }
        match OutboundProxy::from_variables(|name| environment.get(name).ok().flatten()) {
            Ok(proxy) => read.proxy = proxy,
            Err(why) => settings.problem(why.to_string()),
        }
        read
    }

    /// Applies them to a data plane's options.
    pub(crate) fn apply(self, options: Options) -> Options {
        Options {
            provider_cas: self.cas,
            proxy: self.proxy,
            ..options
        }
    }
}
